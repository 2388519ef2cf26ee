"""The theory on networks in training (Santurkar et al. 2018, section 4 and appendix C): its figures and claims."""

NOTES = """\
- A BatchNorm layer is inserted behind one weight layer of the *standard* network at a time, with gamma = sigma and
  beta = mean, which changes neither activations nor loss; in the *BatchNorm* network it is the network's own. *Over
  layers*: the median over the network's layers, of a residual the largest. Shares of units are means over layers.
- Gradients are in float64, over all units; curvatures over 8 units of a layer, of VGG and DLN over 4, and of
  the VGG in float32. Runs are half as long as those of the paper's figures.
- The paper has no curves of these: none of its numbers can stand beside ours. Its statements do, in
  [docs/theory.md](../../docs/theory.md), as printed and as derived anew."""

FIRST = ("shares", "table", "checks", "search")
"""What the theorems leave open first, then whether they are right."""
