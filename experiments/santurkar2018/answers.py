"""The questions of the README, and which statistics answer them."""

from normscape.reports.answers import Answer, Asked

QUESTION = (
    "Does batch normalisation help because it steadies the distributions of layer inputs, as was long believed, or "
    "because it smooths the loss landscape, as the paper argues?"
)

ANSWERS = (
    Answer(
        "Does BatchNorm train faster?",
        (
            Asked(
                figure=1,
                claim="faster_to_50",
                saying="The standard network needs {} times as many steps to reach 50 % training accuracy",
                above=1.0,
            ),
            Asked(
                figure=1,
                claim="faster_to_90",
                saying="It needs {} times as many to reach 90 %",
                above=1.0,
            ),
            Asked(
                figure=1,
                claim="faster_to_99",
                saying="It needs {} times as many to reach 99 %",
                above=1.0,
            ),
        ),
    ),
    Answer(
        "Does it steady the inputs of layers?",
        (
            Asked(
                figure=3,
                claim="shift_no_smaller_vgg_layer_10_lr_0.1",
                saying="At equal training accuracy, the internal covariate shift of layer 10 is {} times the standard "
                "network's",
                below=1.0,
            ),
            Asked(
                figure=3,
                claim="shift_no_smaller_vgg_layer_5_lr_0.1",
                saying="That of layer 5 is {} times as large",
                below=1.0,
            ),
            Asked(
                figure=1,
                claim="no_steadier_layer_11",
                saying="From one snapshot to the next, the distribution of layer 11 moves {} times as far as in the "
                "standard network",
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
                saying="At equal training accuracy, over the step sizes probed along the gradient, the standard "
                "network's loss varies {} times as much as BatchNorm's",
                above=1.0,
            ),
            Asked(
                figure=4,
                claim="vgg_batch_narrows_gradient_difference",
                saying="Its gradient varies {} times as much",
                above=1.0,
            ),
            Asked(
                figure=4,
                claim="vgg_batch_lowers_lipschitz",
                saying="The largest change of its loss per distance walked is {} times BatchNorm's",
                above=1.0,
            ),
            Asked(
                figure=10,
                claim="dln_batch_narrows_loss_landscape",
                saying="In the deep linear net, at equal steps, the standard network's loss varies {} times as much",
                above=1.0,
            ),
        ),
    ),
)
