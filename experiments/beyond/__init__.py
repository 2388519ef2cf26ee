"""Beyond the papers: other networks, every normalisation, learning rates and sharpness."""

NOTES = """\
- The paper's claims are about a convolutional network and a deep linear one. Where a statement here is one of them, it
  is asked of another network or another normalisation; so all statements of this family count as ours.
- Gradient differences and beta are sums of the norms of the parameter tensors, and Euclidean ones are a part, as among
  the claims of the paper."""
