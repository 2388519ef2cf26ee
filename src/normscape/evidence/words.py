"""What series and quantities are called in sentences."""

SERIES = {
    "batch": "BatchNorm",
    "noisy_batch": "noisy BatchNorm",
    "layer": "LayerNorm",
    "group": "GroupNorm",
    "instance": "InstanceNorm",
    "weight": "WeightNorm",
    "whitening": "whitening",
    "elu": "ELU without normalisation",
    "selu": "SELU without normalisation",
    "own": "yours",
}

QUANTITIES = {
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "train_loss": "training loss",
    "loss_landscape": "the loss along the gradient",
    "loss_landscape_random": "the loss along a random direction",
    "gradient_difference": "the gradient difference",
    "gradient_difference_tensor_sum": "the gradient difference, summing the norms of the parameter tensors",
    "effective_beta": "effective beta",
    "effective_beta_tensor_sum": "effective beta, summing the norms of the parameter tensors",
    "gradient_norm": "the gradient's norm",
    "ics_l2": "||G - G'||",
    "ics_cosine": "cos(G, G')",
    "ics_gradient_norm": "||G||",
    "ics_relative": "||G - G'|| / ||G||, median over layers 2 and up",
    "effective_lipschitz": "effective Lipschitzness of the loss",
    "effective_lipschitz_random": "effective Lipschitzness of the loss along a random direction",
    "gradient_difference_tensor_sum_random": "the gradient difference along a random direction, summing the norms of "
    "the parameter tensors",
    "directions_fitted": "singular directions of the target fitted",
    "loss_over_plateau": "the loss over the least loss of a map of the nearest rank",
    "mean_change": "the change of a unit's mean{place} from snapshot to snapshot",
    "variance_change": "the change of a unit's variance{place} from snapshot to snapshot",
    "relative_mean_change": "the change of a unit's mean{place} from snapshot to snapshot, in units of its standard "
    "deviation",
    "relative_variance_change": "the change of a unit's variance{place} from snapshot to snapshot, as a share of it",
    "mean_drift": "the change of a unit's mean{place} since step 0",
    "variance_drift": "the change of a unit's variance{place} since step 0",
    "relative_mean_drift": "the change of a unit's mean{place} since step 0, in units of its standard deviation",
    "relative_variance_drift": "the change of a unit's variance{place} since step 0, as a share of it",
    "relative_mean_noise": "the difference of a unit's mean{place} between the halves of a mini-batch, in units of its "
    "standard deviation",
    "relative_variance_noise": "the difference of a unit's variance{place} between the halves of a mini-batch, as a "
    "share of it",
    "unit_mean_change": "the change of one unit's mean{place} from snapshot to snapshot",
    "unit_variance_change": "the change of one unit's variance{place} from snapshot to snapshot",
    "unit_mean_drift": "the change of one unit's mean{place} since step 0",
    "unit_variance_drift": "the change of one unit's variance{place} since step 0",
    "activation_quantile": "the pre-activations of one unit{place}",
    "activation_distance": "the Wasserstein-1 distance of a unit's distribution{place} from the snapshot before",
    "activation_change": "the Wasserstein-1 distance of a unit's distribution{place} from the snapshot before, in "
    "units of its standard deviation at the time",
    "activation_change_lower": "the relative movement of distributions{place} that a quarter of the units stay below",
    "activation_change_upper": "the relative movement of distributions{place} that a quarter of the units exceed",
    "relative_shift": "||G - G'|| / ||G||",
    "saturated_share": "the share of a layer's inputs to its sigmoids{place} that are beyond -3 and 3",
    "steps_to_best_of_baseline": "steps to the baseline's best accuracy",
    "best_accuracy": "best test accuracy",
    "scale_output": "relative error of BN((aW)u) = BN(Wu)",
    "scale_input_gradient": "relative error of dBN((aW)u)/du = dBN(Wu)/du",
    "scale_weight_gradient": "relative error of dBN((aW)u)/d(aW) = 1/a dBN(Wu)/dW",
    "scale_error": "largest relative error of the three identities of scale",
    "bias_growth": "the bias at the end over that half way",
    "loss_change": "the change of the loss",
    "spread_over_mates": "standard deviation of a sample's output over random mates, batches of 256",
    "slope_over_sizes": "slope of the logarithm of that spread over the logarithm of the batch size",
    "norm_seconds": "the time of a layer's norm, over numbers of channels",
    "activation_noise": "the noise floor of movement{place}, between the halves of a mini-batch at the same weights",
    "gradient_mean_share_over_layers": "the share of ||g||^2 that the mean term takes, median over layers",
    "gradient_scale_share_over_layers": "the share of ||g||^2 that the scale term takes, median over layers",
    "curvature_projection_share_over_layers": "the share of g'Hg that the projection takes, median over layers",
    "curvature_second_share_over_layers": "the share of g'Hg that the second term takes, median over layers",
    "batch_norm_gain_over_layers": "gamma^2 / sigma^2, median over units and layers",
    "theorem_4_1_residual_over_layers": "the relative difference of the sides of 4.1, largest over units and layers",
    "theorem_4_2_residual_over_layers": "the relative difference of the sides of 4.2, largest over units and layers",
    "observation_4_3_residual_over_layers": "the relative change of outputs or loss, largest over layers",
    "theorem_4_1_holds_over_layers": "the share of units of which 4.1 holds as printed",
    "theorem_4_2_holds_over_layers": "the share of units of which 4.2 holds as printed",
    "theorem_4_2_curved_over_layers": "the share of units with g'Hg > 0",
    "theorem_4_2_aligned_over_layers": "the share of units with <g, yhat> > 0",
    "theorem_4_2_norms_over_layers": "the share of units of which H keeps the relative norms within a factor 1.25",
    "theorem_4_2_reading_over_layers": "the share of units of which 4.2 holds as it is read",
    "lemma_4_5_positive": "the share of units with <W(t), W*> > 0",
    "theorem_4_4_excess": "(left - right) / (|left| + |right|) of 4.4 as derived",
    "theorem_4_4_excess_powers": "(left - right) / (|left| + |right|) of 4.4 with its powers set right",
    "theorem_4_4_excess_printed": "(left - right) / (|left| + |right|) of 4.4 as printed",
    "theorem_c_1_excess": "(left - right) / (|left| + |right|) of C.1 as read",
    "theorem_c_1_residual": "the relative difference of the sides of C.1",
    "largest_weight_gradient": "the largest ||dL/dw_j||^2 found",
    "largest_weight_curvature": "the largest curvature along dL/dw_j found",
}
"""What quantities are called; ``{place}`` is where the layer is named, at the end if it is not there."""


def display_name(series: str) -> str:
    """Return a series as sentences call it."""
    return SERIES.get(series, series.replace("_", " "))


def network(series: str) -> str:
    """Return a series' network as sentences call it: ``BatchNorm``, ``the l1 network``."""
    return SERIES.get(series, f"the {display_name(series)} network")


def quantity_name(quantity: str, layer: int | None = None) -> str:
    """Return a quantity as sentences call it, with its layer if it has one."""
    name = QUANTITIES.get(quantity, quantity.replace("_", " "))
    place = "" if layer is None else f" in layer {layer}"
    return name.replace("{place}", place) if "{place}" in name else name + place
