"""The questions of the README, and which statistics answer them."""

from normscape.evidence.answers import Answer, Asked

ANSWERS = (
    Answer("Does BatchNorm train faster?", (Asked(1, "faster_to_80", above=1.0),)),
    Answer(
        "Does it steady the inputs of layers?",
        (
            Asked(1, "no_steadier_layer_11", below=1.0),
            Asked(3, "shift_no_smaller_vgg_layer_10_lr_0.1", below=1.0),
        ),
    ),
    Answer(
        "Does it smooth the landscape?",
        (
            Asked(4, "vgg_batch_narrows_loss_landscape", above=1.0),
            Asked(4, "vgg_batch_narrows_gradient_difference", above=1.0),
        ),
    ),
)
