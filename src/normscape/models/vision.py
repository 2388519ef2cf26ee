"""The networks of torchvision, with any normalisation in place of theirs."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from normscape.errors import UserError, suggest
from normscape.models.layered import NormFactory
from normscape.norms import Standard

TAKEN = {
    "weights": "networks here start untrained; leave it out",
    "norm_layer": "the normalisation is norm=; leave it out",
    "zero_init_residual": "it would set the scale of a BatchNorm2d that norm= replaces; leave it out",
}
"""Options of torchvision's that would download, or that contradict ``norm=``, and why they are refused."""

WITH_AUXILIARY_OUTPUTS = ("googlenet", "inception_v3")


def torchvision_model(
    norm: NormFactory, architecture: str = "resnet18", num_classes: int = 10, **options: Any
) -> nn.Module:
    """Build an untrained network of torchvision's, with ``norm`` in place of each BatchNorm2d.

    Standard in their place removes normalisation; other kinds, e.g. the LayerNorm of a ConvNeXt, stay where they are.
    Initial weights are torchvision's own, drawn from torch's global random stream, the same whatever the norm; scale,
    shift and eps are those of ``norm``. Modules such as ReLU do not work in place, as in `VGG`, so that a hook may keep
    what enters them; the numbers are the same.

    Parameters
    ----------
    norm
        Makes a normalisation from its number of channels.
    architecture
        A name that ``torchvision.models.list_models`` knows for images, e.g. "resnet18", "vgg16_bn", "mobilenet_v2".
    num_classes
        Number of outputs K; inputs ``(N, 3, H, W)``, output ``(N, K)``. Auxiliary outputs, which two networks have in
        training, are not built. Most networks take images of 32x32, some only larger ones.
    options
        Passed on to torchvision, e.g. ``width_mult=0.5`` or ``dropout=0.0``.

    Raises
    ------
    UserError
        If the network is unknown, has no BatchNorm2d though ``norm`` is not Standard, or an option is one of ``TAKEN``.
    """
    model = _untrained(architecture, num_classes, options)
    if not _replace(model, norm) and not isinstance(norm(64), Standard):
        hint = f"{architecture}_bn" if architecture.startswith("vgg") else "e.g. resnet18"
        raise UserError(f"{architecture} has no BatchNorm2d that norm= could replace; take {hint}, or norm=standard")
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return model


def _untrained(architecture: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    from torchvision import models  # takes a second, which runs of other networks need not wait

    known = models.list_models(module=models)
    if architecture not in known:
        raise UserError(f"unknown architecture '{architecture}'{suggest(str(architecture), known)}")
    for option in sorted(options.keys() & TAKEN.keys()):
        raise UserError(f"{option}={options[option]}: {TAKEN[option]}")
    if architecture in WITH_AUXILIARY_OUTPUTS:
        if options.get("aux_logits"):
            raise UserError(f"aux_logits={options['aux_logits']}: {architecture} has one output here; leave it out")
        # torchvision warns that its default of init_weights will change, and with it a run's numbers: so it is set
        options = {"init_weights": True, **options, "aux_logits": False}
    # RegNets compute their sizes with tensors, which a dry build on the meta device could not read
    with torch.device("cpu") if architecture.startswith("regnet") else nullcontext():
        model: nn.Module = models.get_model(architecture, weights=None, num_classes=num_classes, **options)
    return model.to(torch.get_default_device())


def _replace(model: nn.Module, norm: NormFactory) -> int:
    """Put a new norm in the place of each BatchNorm2d and return how many there were."""
    old = {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, module in old.items():
        model.set_submodule(name, norm(module.num_features))
    return len(old)
