"""How Does Batch Normalization Help Optimization? (Santurkar et al., NeurIPS 2018): its figures and claims."""

NOTES = """\
- The paper's gradient differences and beta seem to be sums of the norms of the individual parameter tensors (`NAMES` in
  `src/normscape/evidence/original.py` says why), and so are those that its curves are compared with; Euclidean ones are
  a part.
- DLN, the deep linear net: the entries of its target matrix are uniform on [0, 1), as inferred from the paper's loss
  curves, which fix their mean and variance but not their shape; its text says Gaussian."""

FIRST = (1, 4, 3, 2, 12, 5, 6, 8, 11)
"""The figures that decide most, first: whether BatchNorm helps, what it smooths, what it does not steady; then why."""
