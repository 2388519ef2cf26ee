"""Which runs are computed on reduced batches: a function of the config alone, as the numbers of a run are."""

from dataclasses import replace

from hydra.utils import get_object
from torch import nn, optim

from normscape.errors import UserError, suggest
from normscape.forward import Forward
from normscape.models import DLN
from normscape.norms import BatchNorm, LpNorm, Standard
from normscape.schema import RunConfig

KINDS = ("auto", "reduced", "plain")
"""``auto`` is reduced where it can be."""

SGD_EXTRAS = ("momentum", "weight_decay", "nesterov", "maximize", "dampening")


def arithmetic_of(config: RunConfig) -> str:
    """Return ``reduced`` or ``plain``.

    Raises
    ------
    UserError
        If the setting is neither of them nor auto, or reduced and the run cannot be.
    """
    if config.arithmetic not in KINDS:
        hint = suggest(config.arithmetic, KINDS)
        raise UserError(f"arithmetic={config.arithmetic}: expected {', '.join(KINDS[:-1])} or {KINDS[-1]}{hint}")
    if config.arithmetic == "plain":
        return "plain"
    obstacle = _obstacle(config)
    if obstacle and config.arithmetic == "reduced":
        raise UserError(f"arithmetic=reduced: {obstacle}; use arithmetic=plain")
    return "plain" if obstacle else "reduced"


def _obstacle(config: RunConfig) -> str | None:
    """Return what keeps a run from being computed on a reduced batch."""
    optimizer = config.optimizer
    if _named(config.model) is not DLN:
        return f"expected a deep linear net, not {config.model['_target_']}"
    if _named(config.norm) not in (BatchNorm, LpNorm, Standard):
        return f"expected BatchNorm, LpNorm or no normalisation, not {config.norm['_target_']}"
    if config.batch_size is not None or config.augment:
        return "expected the whole training set as each batch (batch_size=null), without augmentation"
    if _named(config.loss) is not nn.MSELoss or config.loss.get("reduction") != "sum":
        return "expected the summed squared error as the loss (torch.nn.MSELoss, reduction=sum)"
    if _named(optimizer) is not optim.SGD or any(optimizer.get(key) for key in SGD_EXTRAS) or config.schedule:
        return "expected plain gradient descent at a constant rate, without momentum and weight decay"
    if not replace(Forward.asked(config), tf32=False).is_plain:  # which is a GPU's
        return "expected training in float32 that is not compiled (precision=float32, compile=none)"
    if not (isinstance(optimizer.get("lr"), int | float) and optimizer["lr"] > 0):
        return "expected a learning rate above 0"
    return None


def _named(node: dict[str, object]) -> object:
    try:
        return get_object(str(node.get("_target_")))
    except Exception:  # building it will say so
        return None
