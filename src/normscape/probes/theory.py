"""The theorems of section 4 on a network in training: what BatchNorm behind one layer takes of gradient and Hessian."""

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from normscape.errors import UserError, check_count, first_line, suggest
from normscape.network import Layers, Network, WeightLayer
from normscape.norms.batch import BatchNorm
from normscape.norms.options import check_eps
from normscape.probes.around_norm import Curvatures, Gradients, Place, curvatures_around, gradients_around
from normscape.probes.probe import Probe, require_single_runs
from normscape.probes.shares import OVER_ALL_UNITS, OVER_CHOSEN_UNITS, of_curvatures, of_gradients
from normscape.storage.records import Row, Snapshot
from normscape.view import StepView

PLACES = ("inserted", "own")
PRECISIONS = ("float64", "float32")


class Theory(Probe):
    r"""Both sides of theorems 4.1 and 4.2 around one BatchNorm layer at a time, all else equal.

    With y_j the output of a weight layer's unit j over the batch (for convolutions over height and width too, so that m
    = N H W), z = gamma yhat + beta what BatchNorm makes of it, g = dLhat/dz, h = dLhat/dy and H_jj the Hessian w.r.t.
    z_j, the theorems say what two subtracted terms take away of ||g||^2 and of g' H_jj g beyond the factor
    gamma^2/sigma^2 (`normscape.theory`). Source: paper, section 4, fig. 7. All but the second derivatives
    (``curvature``) is computed in float64, on a replica of the step (`StepView.in_float64`), and h and h' Hhat h by
    autograd through BatchNorm, not by the theorem. L is the loss of the mini-batch, without weight decay. Forward mode:
    the step's own (training).

    Parameters
    ----------
    layers
        Weight layers by number, from 1, or by module path; ``all`` for every layer that runs once.
    every
        Measure every so many steps.
    batch_norm
        ``inserted``: a BatchNorm layer is put behind the weight layer, one layer at a time, with gamma = sigma and
        beta = mean, which changes no activation and not the loss. ``own``: the network's own BatchNorm, with its
        gamma; ``all`` are then the layers that have one.
    units
        Of so many units of a layer, drawn once per run, the Hessian is evaluated; the gradient of all.
    eps
        Of the inserted BatchNorm.
    curvature
        The precision of the second derivatives: float64, or float32 where that would take too long, as for convolutions
        on a CPU. Theorem 4.2 is then checked to float32's rounding alone: look at its ``_residual`` and ``_slack``, as
        its ``_holds`` and ``_reading`` count differences of 1e-9 of the terms, which are rounding then.

    Notes
    -----
    Rows per layer. Over all units: ``gradient_mean_share`` and ``gradient_scale_share``, what the terms along 1 and
    along yhat take of the sum of ||g||^2; ``gradient_share_of_units``, the median over units of both;
    ``batch_norm_gain``, the median of gamma^2/sigma^2; ``silent_units``, the share of units without gradient, which
    count nowhere else; of theorem 4.1 the largest ``_residual``, the median ``_slack`` and the share of units of which
    it ``_holds`` as printed; ``theorem_4_2_aligned``, the share with <g, yhat> > 0.

    Over the drawn units: ``curvature_projection_share`` and ``curvature_second_share``, what projection and second term
    take of the sum of g' H g (NaN unless that is above 0); ``curvature_share_of_units``, the median of both;
    ``theorem_4_2_residual``, ``_slack`` and ``_holds``; ``_order``, ``_norms``, ``_curved``, ``_reading`` and
    ``_reading_as_printed``, the share of units of which a condition holds (`normscape.theory.theorem_4_2`).

    With ``inserted`` also ``observation_4_3_residual``, what the layer changes, relative. Snapshots: ``unit_weights``
    of ``(units, d)``, the weights of the drawn units, for lemma 4.5.

    Cost: a forward-backward pass; per layer three in float64, and for each drawn unit four of what follows the layer.

    Raises
    ------
    UserError
        If a layer is not one of the network's, runs more than once, or has no BatchNorm of its own where one is asked
        for; if the loss cannot be differentiated twice.
    """

    def __init__(
        self,
        layers: Layers = "all",
        every: int = 1,
        batch_norm: Literal["inserted", "own"] = "inserted",
        units: int = 8,
        eps: float = 1e-5,
        curvature: Literal["float64", "float32"] = "float64",
    ) -> None:
        super().__init__(every)
        if batch_norm not in PLACES:
            raise UserError(
                f"probe batch_norm={batch_norm}: expected inserted or own{suggest(str(batch_norm), PLACES)}"
            )
        if curvature not in PRECISIONS:
            known = suggest(str(curvature), PRECISIONS)
            raise UserError(f"probe curvature={curvature}: expected float64 or float32{known}")
        check_count("probe units", units)
        check_eps(eps)
        self.layers: Layers = layers if isinstance(layers, str) else tuple(layers)
        self.batch_norm, self.units, self.eps, self.curvature = batch_norm, units, eps, curvature

    def check(self, network: Network) -> None:
        """Raise `UserError` if a layer does not exist, or has no one output."""
        require_single_runs(network, self.layers)

    def outline(self, network: Network, learning_rate: float) -> Iterator[Row | Snapshot]:
        """Yield what is measured of each layer, without its values."""
        inserted = self.batch_norm == "inserted"
        found = network.find(self.layers)
        own = found if self.layers != "all" else found[:-1]  # no network of the suite has one behind its last layer
        for layer in found if inserted else own:
            names = [*OVER_ALL_UNITS, *OVER_CHOSEN_UNITS, *["observation_4_3_residual"] * inserted]
            yield from (Row(0, name, network.label(layer), None, math.nan) for name in names)
            chosen = min(self.units, layer.units)
            yield Snapshot(0, "unit_weights", network.label(layer), torch.zeros(chosen, 1))

    def measure(self, view: StepView) -> Iterator[Row | Snapshot]:
        """Yield what is measured of each layer at W(t)."""
        asked = [layer for layer in view.network.find(self.layers) if layer.runs == 1]
        wide = view.in_float64()
        for place in self._places(wide, asked):
            layer, label = place.layer, view.network.label(place.layer)
            gradients, units = gradients_around(wide, place), self._chosen(view, layer)
            curvatures = _twice(layer, view if self.curvature == "float32" else wide, gradients, units)
            values = {**of_gradients(gradients), **of_curvatures(gradients.of(units), curvatures)}
            yield from (Row(view.step, name, label, None, value.item()) for name, value in values.items())
            if (weights := _weights(view, layer)) is not None:
                yield Snapshot(view.step, "unit_weights", label, weights[units])

    def _places(self, view: StepView, layers: list[WeightLayer]) -> Iterator[Place]:
        """Yield where BatchNorm is looked at."""
        own = _batch_norms(view, layers) if self.batch_norm == "own" else {}
        for layer in layers:
            if self.batch_norm == "inserted":
                yield Place(layer, self.eps)
            elif layer in own:
                yield Place(layer, float(own[layer][1].eps), own[layer])  # type: ignore[arg-type]
            elif self.layers != "all":
                raise UserError(
                    f"probe layer {layer.path}: no BatchNorm is behind it; batch_norm=inserted puts one there"
                )

    def _chosen(self, view: StepView, layer: WeightLayer) -> Tensor:
        """Return the units whose curvature is evaluated, in order."""
        drawn = torch.randperm(layer.units, generator=view.generator("theory", "units", layer.number))
        return drawn[: self.units].sort().values


def _batch_norms(view: StepView, layers: list[WeightLayer]) -> dict[WeightLayer, tuple[str, nn.Module]]:
    """Return the BatchNorm behind each layer that has one which normalises by the batch, and does nothing more."""
    found = view.norms_behind(layers)
    passes = (BatchNorm.forward, nn.modules.batchnorm._BatchNorm.forward)  # a subclass's own may do anything
    return {
        layer: (path, norm) for layer, (path, norm) in found.items() if type(norm).forward in passes and norm.training
    }


def _twice(layer: WeightLayer, view: StepView, gradients: Gradients, units: Tensor) -> Curvatures:
    """Return the second derivatives around a layer; say in one line that there are none."""
    try:
        return curvatures_around(view, gradients, units)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise UserError(
            f"probe layer {layer.path}: the loss cannot be differentiated twice behind it; {first_line(error)}"
        ) from error


def _weights(view: StepView, layer: WeightLayer) -> Tensor | None:
    """Return a layer's weights, ``(units, d)``, if they are one parameter with its units in front."""
    weight = view.parameters[layer.weights[0]]
    whole = len(layer.weights) == 1 and weight.dim() > 1 and len(weight) == layer.units
    return weight.flatten(1) if whole else None
