"""What an optimiser is set to do with the next gradient."""

from dataclasses import dataclass

import torch
from torch import nn

from normscape.errors import UserError
from normscape.twin.replica import parameters_of


@dataclass(frozen=True)
class UpdateRule:
    """The settings of the optimiser's update, read before it.

    Attributes
    ----------
    name
        Its class.
    plain
        Whether it is gradient descent: ``torch.optim.SGD`` without momentum.
    learning_rates, weight_decays
        Of each parameter that trains, by name.
    """

    name: str
    plain: bool
    learning_rates: dict[str, float]
    weight_decays: dict[str, float]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, model: nn.Module) -> "UpdateRule":
        """Read an optimiser's groups.

        Raises
        ------
        UserError
            If it trains a parameter that is not the network's.
        """
        names = {id(p): name for name, p in parameters_of(model).items()}
        rates, decays = {}, {}
        for group in optimizer.param_groups:
            for p in group["params"]:
                if id(p) not in names and p.requires_grad:
                    raise UserError(
                        f"optimizer: it trains a parameter of shape {tuple(p.shape)} that is not the network's; "
                        "give the module that holds all that is trained"
                    )
                if p.requires_grad:
                    rates[names[id(p)]] = float(group["lr"]) if "lr" in group else float("nan")
                    decays[names[id(p)]] = float(group.get("weight_decay", 0.0))
        plain = type(optimizer) is torch.optim.SGD and not any(
            group["momentum"] or group["maximize"] for group in optimizer.param_groups
        )
        order = [name for name in names.values() if name in rates]
        return cls(type(optimizer).__name__, plain, {n: rates[n] for n in order}, {n: decays[n] for n in order})
