"""How a training step is computed: with all digits of float32 or with fewer, as it is written or compiled.

Both make training faster where the hardware has it, at the price of other rounding: they are part of what a run is.
Measurements are of the network in float32, as it is written, at the weights that such training goes through.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from normscape.errors import UserError, first_line, suggest
from normscape.schema import RunConfig

PRECISIONS = ("float32", "bfloat16")
"""``bfloat16`` is torch's autocast: products of matrices and convolutions in bfloat16, sums and losses in float32."""

COMPILATIONS = ("none", "default", "reduce-overhead", "max-autotune")
"""The modes of ``torch.compile``; on a GPU ``reduce-overhead`` replays CUDA graphs."""

AMPERE = (8, 0)
"""The compute capability of the first GPUs that have TF32."""


@dataclass(frozen=True)
class Forward:
    """How the forward passes of training are computed.

    Parameters
    ----------
    precision
        One of `PRECISIONS`.
    compilation
        One of `COMPILATIONS`.
    tf32
        Whether a GPU may compute products of float32 matrices and convolutions in TF32, which has 10 bits of 23.

    Raises
    ------
    UserError
        If there is no such choice.
    """

    precision: str = "float32"
    compilation: str = "none"
    tf32: bool = False

    def __post_init__(self) -> None:
        for key, value, known in (
            ("precision", self.precision, PRECISIONS),
            ("compile", self.compilation, COMPILATIONS),
        ):
            if value not in known:
                raise UserError(
                    f"{key}={value}: expected {', '.join(known[:-1])} or {known[-1]}{suggest(value, known)}"
                )

    @classmethod
    def asked(cls, config: RunConfig) -> "Forward":
        """Return what a run asks for."""
        return cls(config.precision, config.compile, config.tf32)

    @property
    def is_plain(self) -> bool:
        """Whether a step is what the network's modules compute by themselves, with all digits of their weights."""
        return self == Forward()

    def of(self, model: nn.Module) -> nn.Module:
        """Return what computes a network's output; its weights and buffers stay the network's own.

        Layer noise is drawn from the streams that the uncompiled network draws from.
        """
        if self.compilation == "none":
            return model
        mode = None if self.compilation == "default" else self.compilation
        options = {**(torch._inductor.list_mode_options(mode) if mode else {}), "fallback_random": True}
        return cast(nn.Module, torch.compile(model, options=options))

    @contextmanager
    def computing(self, device: torch.device) -> Iterator[None]:
        """Make the block a forward pass and the evaluation of its loss.

        Raises
        ------
        UserError
            If torch cannot compile the network.
        """
        try:
            with torch.autocast(device.type, torch.bfloat16) if self.precision != "float32" else nullcontext():
                yield
        except RuntimeError as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            raise UserError(
                f"compile={self.compilation}: torch cannot compile the network on this machine ({first_line(error)}); "
                "use compile=none"
            ) from error


def require_tf32(config: RunConfig, device: torch.device) -> None:
    """Raise `UserError` if a run asks for TF32 where it would get float32 under that name."""
    if config.tf32 and not (device.type == "cuda" and torch.cuda.get_device_capability(device) >= AMPERE):
        raise UserError(
            f"{config.name}: tf32=true: expected a GPU that computes in TF32 (NVIDIA's since Ampere), and this run is "
            f"on {device}; tf32=false is float32 (scale=paper instead of scale=paper_tf32)"
        )


def set_tf32(allowed: bool) -> None:
    """Let a GPU compute in TF32, or in float32, from now on."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


@contextmanager
def exact_products() -> Iterator[None]:
    """Make a GPU compute products of float32 matrices and convolutions in float32, for the block."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    set_tf32(allowed=False)
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
