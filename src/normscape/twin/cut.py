"""The loss as a function of what one module of a network puts out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from normscape.errors import UserError
from normscape.twin.replay import Replay

Insertion = Callable[[Tensor], Tensor]
"""What is put behind a module: from its output to a tensor of the same shape."""


@contextmanager
def cut_behind(replay: Replay, path: str, insert: Insertion | None = None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the output of a module, as a leaf, and the loss as a function of it, with its graph; see `StepView`.

    The twin must be at the point; what is differentiated is differentiated within the block.
    """
    leaves: list[Tensor] = []

    def cut(_: nn.Module, inputs: object, output: Tensor) -> Tensor:
        leaves.append(output.detach().clone().requires_grad_())
        passed = leaves[-1].clone()  # what follows may work in place
        return passed if insert is None else insert(passed)

    with torch.enable_grad(), replay.forward_pass() as twin:
        handle = twin.get_submodule(path).register_forward_hook(cut)
        try:
            loss = replay.run()
        finally:
            handle.remove()
        if len(leaves) != 1:
            raise UserError(
                f"{path}: it runs {len(leaves)} times in a pass, so it has no one output to differentiate by"
            )
        yield leaves[0], loss
