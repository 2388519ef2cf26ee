"""The nonlinearity of a network, by its name in torch, in small letters: ``relu``, ``sigmoid``, ``elu``, ``selu``."""

from torch import nn

from normscape.errors import UserError, suggest

_OF_ANOTHER_KIND = {
    *("GLU", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "LogSoftmax"),  # mix units
    *("PReLU", "RReLU", "Threshold"),  # learn, draw random numbers, need a setting
}

ACTIVATIONS: dict[str, type[nn.Module]] = {
    name.lower(): getattr(nn, name) for name in nn.modules.activation.__all__ if name not in _OF_ANOTHER_KIND
}
"""torch's functions of each value by itself, without settings; none works in place, since probes keep its input."""


def activation_class(name: str) -> type[nn.Module]:
    """Return the class of a nonlinearity.

    Raises
    ------
    UserError
        If torch has none of that name that acts on each value by itself.
    """
    if name not in ACTIVATIONS:
        near = name.lower() if str(name).lower() in ACTIVATIONS else str(name)
        raise UserError(f"unknown activation '{name}'{suggest(near, ACTIVATIONS)}")
    return ACTIVATIONS[name]
