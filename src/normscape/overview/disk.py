"""How much disk a run will take: its checkpoint and what it measures."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from normscape.build import dry_model
from normscape.components import build_probes
from normscape.config import RunConfig
from normscape.errors import UserError
from normscape.network import is_chain, network_of
from normscape.storage.records import Row, Snapshot

BYTES_PER_ROW = 150
"""A row in the checkpoint and again in the table of the run."""

COPIES = {"betas": 3, "momentum": 2}
"""How often a checkpoint has the weights: beside themselves the optimiser's averages, one or two."""


def bytes_of(config: RunConfig) -> int:
    """Return about how many bytes the directory of a run will hold; rows of a network that is no chain not counted."""
    model = dry_model(config)
    rows, arrays = 3 * math.ceil(config.steps / config.log_every), 0
    if is_chain(model):
        network = network_of(model, lambda: None, numbered=True)
        for probe in build_probes(config, model):
            due = math.ceil(config.steps / probe.every)
            for item in probe.outline(network, float(config.optimizer.get("lr", math.nan))):
                rows += due * isinstance(item, Row)
                if isinstance(item, Snapshot):
                    arrays += due * 2 * item.values.numel() * item.values.element_size()
    return _checkpoint_bytes(config, model) + rows * BYTES_PER_ROW + arrays


def _checkpoint_bytes(config: RunConfig, model: nn.Module) -> int:
    """Return about how many bytes a checkpoint has, but for its rows."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in (*model.parameters(), *model.buffers()))
    return weights * next((count for key, count in COPIES.items() if config.optimizer.get(key)), 1)


def bytes_beside(configs: Sequence[RunConfig]) -> int:
    """Return how much more a run takes while it trains: beside its checkpoint the one before, and the next one."""
    kinds = {_kind(config): config for config in configs}
    return max((2 * _checkpoint_bytes(config, dry_model(config)) for config in kinds.values()), default=0)


def bytes_needed(configs: Sequence[RunConfig]) -> int:
    """Return about how many bytes runs will add; a kind of run is looked at once."""
    known: dict[str, int] = {}
    for config in configs:
        kind = _kind(config)
        if kind not in known:
            known[kind] = bytes_of(config)
    return sum(known[_kind(config)] for config in configs)


def _kind(config: RunConfig) -> str:
    return str((config.model, config.norm, config.probe, config.steps, config.log_every, sorted(config.optimizer)))


def require_room(folder: Path, needed: int) -> None:
    """Raise `UserError` if a disk has not as much left."""
    free = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    if needed > free:
        raise UserError(
            f"runs_dir={folder}: {in_words(needed)} needed and {in_words(free)} free; make room, or move it"
        )


def in_words(number: float) -> str:
    """Return a number of bytes for people, e.g. ``120 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
