"""What the README says of the order of networks that no paper compares, and which statistics say it."""

from beyond.norms_compared import RELATED
from normscape.reports.answers import Answer, Asked


def _order(claim: str, saying: str) -> Asked:
    return Asked(figure="norms", claim=claim, saying=saying, above=RELATED)


ANSWERS = (
    Answer(
        "Over all normalisations, does a smoother landscape go with faster training?",
        (
            _order(
                "smoother_is_faster",
                "The rank correlation with the steps to 50 % training accuracy, over the networks that have both, is "
                "{} for the width of the loss's band",
            ),
            _order("predictable_is_faster", "It is {} for that of the gradient's"),
            _order("smaller_beta_is_faster", "It is {} for β"),
            _order("lipschitz_is_faster", "It is {} for the loss's Lipschitzness, that is, its change per distance"),
        ),
    ),
    Answer(
        "And less covariate shift?",
        (_order("less_shift_is_faster", "The rank correlation is {} for the shift relative to the gradient"),),
    ),
)
