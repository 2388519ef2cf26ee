"""The questions of the README, and which statistics answer them."""

from normscape.evidence.answers import Answer, Asked

ANSWERS = (
    Answer(
        "Does BatchNorm train faster?",
        (
            Asked(
                figure=1,
                claim="faster_to_80",
                saying="The standard network takes {} times as many steps to 80 % training accuracy",
                above=1.0,
            ),
        ),
    ),
    Answer(
        "Does it steady the inputs of layers?",
        (
            Asked(
                figure=1,
                claim="no_steadier_layer_11",
                saying="With it, the distribution of layer 11 moves {} times as far, relative to its own width",
                below=1.0,
            ),
            Asked(
                figure=3,
                claim="shift_no_smaller_vgg_layer_10_lr_0.1",
                saying="The internal covariate shift of layer 10 is {} times that of the standard network",
                below=1.0,
            ),
        ),
    ),
    Answer(
        "Does it smooth the landscape?",
        (
            Asked(
                figure=4,
                claim="vgg_batch_narrows_loss_landscape",
                saying="Along the gradient, the loss of the standard network varies {} times as much",
                above=1.0,
            ),
            Asked(
                figure=4,
                claim="vgg_batch_narrows_gradient_difference",
                saying="Its gradient varies {} times as much",
                above=1.0,
            ),
        ),
    ),
)
