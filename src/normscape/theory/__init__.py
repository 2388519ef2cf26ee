"""The paper's theory (section 4, appendix C) as functions of tensors: both sides of each statement, no network in it.

Tensors of one BatchNorm layer have the shape ``(units, m)``: a row for each unit j, its m values over the batch, for a
convolution over the batch and all positions. The derivations are in ``docs/theory.md``.
"""

from normscape.theory.initialisation import lemma_4_5
from normscape.theory.lipschitz import theorem_4_1
from normscape.theory.minimax import Minimax, theorem_4_4, theorem_c_1
from normscape.theory.normalised import (
    Normalised,
    batch_norm,
    jacobian_of_sample,
    jacobian_of_set,
    neutral,
    normalised,
)
from normscape.theory.search import projected_ascent
from normscape.theory.smoothness import Products, theorem_4_2
from normscape.theory.statement import Statement

__all__ = [
    "Minimax",
    "Normalised",
    "Products",
    "Statement",
    "batch_norm",
    "jacobian_of_sample",
    "jacobian_of_set",
    "lemma_4_5",
    "neutral",
    "normalised",
    "projected_ascent",
    "theorem_4_1",
    "theorem_4_2",
    "theorem_4_4",
    "theorem_c_1",
]
