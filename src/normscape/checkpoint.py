"""What a checkpoint holds, so that a resumed run ends with the same bits as an uninterrupted one.

A ``state_dict`` has the parameters and persistent buffers of a network and the groups of an optimiser. A user's
normalisation may keep its statistics in plain attributes, a user's optimiser its step count: whatever of these has
changed since construction is saved beside it.
"""

import io
import pickle
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from normscape.errors import UserError, first_line
from normscape.loop import State
from normscape.storage.records import Records
from normscape.twin.copies import attributes, is_filled
from normscape.twin.fingerprint import digest
from normscape.twin.replica import original

Beyond = dict[str, Any]
"""Plain attributes and non-persistent buffers, by module path and name."""

KEPT = "make it a buffer (register_buffer), or numbers in lists or dictionaries"
SCHEDULED = "let it be a function of the step alone"
OPTIMIZER_OWN = ("defaults", "state", "param_groups", "step", "_warned_capturable_if_run_uncaptured")


class Checkpoints:
    """Turns a run's state into plain content and back.

    Parameters
    ----------
    state
        As it was constructed, before any step and before `load`.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        kept = _kept_as_such(state)
        self._constructed = {place: digest(_without_structure(value, kept)) for place, value in _beyond(state)}
        self._buffers = {name: _shape(tensor) for name, tensor in state.model.state_dict().items()}

    def content(self, identity: str) -> dict[str, Any]:
        """Return plain lists, dictionaries and tensors.

        Raises
        ------
        UserError
            If something that changed in training cannot be kept.
        """
        state, model = self._state, self._state.model.state_dict()
        self._require_shapes(model)
        for name, tensor in model.items():  # in place: it has versions of its modules beside its tensors
            model[name] = _plain_numbers(tensor)
        content = {
            "identity": identity,
            "model": model,
            "optimizer": state.optimizer.state_dict(),
            "records": state.records.state_dict(),
            "step": state.step,
            "diverged_at": state.diverged_at,
            "beyond": self.beyond(),
        }
        if state.schedule:
            content["schedule"] = state.schedule.state_dict()
        return {key: _plain_numbers(value) for key, value in content.items()}

    def require_whole(self) -> None:
        """Refuse a state that can be saved but not loaded again; call after the first step, not hours later."""
        file = io.BytesIO()
        try:
            torch.save(self.content(""), file)
            file.seek(0)
            torch.load(file, weights_only=True)
        except pickle.UnpicklingError as error:
            reason = next((line for line in str(error).splitlines() if "GLOBAL" in line), str(error).splitlines()[0])
            raise UserError(
                f"the run's state cannot be loaded from a checkpoint again ({reason.strip()[:99]}); network, optimiser "
                "and schedule may keep tensors, numbers and text, in lists and dictionaries"
            ) from error

    def _require_shapes(self, model: Mapping[str, Any]) -> None:
        now = {name: _shape(tensor) for name, tensor in model.items()}
        for name in sorted(now.keys() ^ self._buffers.keys() | {n for n in now if now[n] != self._buffers.get(n)}):
            raise UserError(
                f"model.{name}: a buffer that appears, or changes its shape, in training cannot be loaded from a "
                "checkpoint; register it with its final shape"
            )

    def beyond(self) -> Beyond:
        """Return what has changed outside of state dictionaries since construction, or refuse what cannot be kept."""
        state, kept = self._state, _kept_as_such(self._state)
        changed = {
            place: value
            for place, value in _beyond(state)
            if digest(_without_structure(value, kept)) != self._constructed.get(place)
        }
        for place, value in changed.items():
            if not _is_plain(value) or _has_addresses(value, state):
                raise UserError(
                    f"{place}: a {type(value).__name__} that changes in training cannot be kept in a checkpoint, so a "
                    f"resumed run would differ; {SCHEDULED if place.startswith('schedule') else KEPT}"
                )
        return {place: _detached(value) for place, value in changed.items()}

    def load(self, content: dict[str, Any], file: Path) -> None:
        """Continue the state from a checkpoint's content, whose tensors are on the state's device.

        Raises
        ------
        UserError
            If it is not of such a state: names its file.
        """
        try:
            self._load(content)
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            reason = first_line(error)
            raise UserError(f"{file}: not a checkpoint of this version ({reason}); remove the run's folder") from error

    def _load(self, content: dict[str, Any]) -> None:
        state = self._state
        state.model.load_state_dict(content["model"])
        state.optimizer.load_state_dict(content["optimizer"])
        _keep_types(state.optimizer, content["optimizer"])
        if state.schedule:
            state.schedule.load_state_dict(content["schedule"])
        owners = _owners(state)
        for place, value in content.get("beyond", {}).items():
            path, _, name = place.rpartition(".")
            owner = owners[path]
            if isinstance(owner, nn.Module) and name in owner._buffers:
                owner._buffers[name] = value
            else:
                vars(owner)[name] = value
        state.records = Records.from_state_dict(content["records"])
        state.records.snapshots = [item._replace(values=item.values.cpu()) for item in state.records.snapshots]
        state.step, state.diverged_at = content["step"], content["diverged_at"]


def require_undamaged(checkpoint: Path) -> None:
    """Compare each part of a checkpoint with the checksum that torch wrote beside it and does not look at again."""
    try:
        with zipfile.ZipFile(checkpoint) as content:
            damaged = content.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise UserError(f"{checkpoint}: not a whole checkpoint ({error})") from error
    if damaged:
        raise UserError(f"{checkpoint}: damaged ({damaged} is not what was written)")


def read_checkpoint(file: Path, identity: str, device: torch.device) -> dict[str, Any]:
    """Return the content of a checkpoint of a run; nothing in it is executed.

    Raises
    ------
    UserError
        If it is damaged, of another run, or holds more than tensors, numbers and text in lists and dictionaries.
    """
    require_undamaged(file)
    try:
        content = torch.load(file, map_location=device, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    except pickle.UnpicklingError as error:  # whose advice is to execute it
        raise UserError(f"{file}: not a run's checkpoint (it holds more than tensors, numbers and text)") from error
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError, EOFError) as error:
        reason = first_line(error)
        raise UserError(f"{file}: not a checkpoint of this version ({reason})") from error
    if not isinstance(content, dict) or not {"identity", "step"} <= set(content):
        raise UserError(f"{file}: not a run's checkpoint")
    if content["identity"] != identity:
        raise UserError(f"{file}: belongs to run {content['identity']}, not to {identity}")
    return content


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _owners(state: State) -> dict[str, Any]:
    modules = {f"model.{path}" if path else "model": module for path, module in original(state.model).named_modules()}
    return {**modules, "optimizer": state.optimizer}


def _beyond(state: State) -> Iterator[tuple[str, Any]]:
    for path, owner in _owners(state).items():
        if isinstance(owner, nn.Module):
            transient = {name: owner._buffers.get(name) for name in owner._non_persistent_buffers_set}
            kept = {**attributes(owner), **transient}
            kept.pop("training")
        else:
            kept = {name: v for name, v in vars(owner).items() if name not in OPTIMIZER_OWN and "hooks" not in name}
        for name, value in kept.items():
            yield f"{path}.{name}", value
    for number, schedule in enumerate(_schedules(state.schedule)):
        for name, value in vars(schedule).items():
            functions = [
                item for item in (value if isinstance(value, list) else [value]) if isinstance(item, FunctionType)
            ]
            if functions:  # which its state_dict leaves out
                yield f"schedule.{name}{f' ({number})' * (number > 0)}", [functions, list(map(_enclosed, functions))]


def _enclosed(function: FunctionType) -> list[Any]:
    """Return the plain content that a function keeps between calls: what it encloses, defaults, attributes."""
    cells = [cell.cell_contents for cell in function.__closure__ or () if is_filled(cell)]
    return [value for value in (*cells, function.__defaults__, vars(function)) if _is_plain(value)]


def _schedules(schedule: Any) -> Iterator[Any]:
    """Yield a schedule and those that it is made of."""
    if schedule is not None:
        yield schedule
        for inner in getattr(schedule, "_schedulers", ()):
            yield from _schedules(inner)


def _kept_as_such(state: State) -> dict[int, Any]:
    """Return the parameters, buffers and modules of the network, which are saved as such, by their addresses."""
    model = original(state.model)
    return {id(part): part for part in (*model.modules(), *state.model.state_dict(keep_vars=True).values())}


def _without_structure(value: Any, kept: Mapping[int, Any]) -> Any:
    """Return a value with what is kept as such, or holds itself, replaced by what it is; modules are what they hold."""
    if id(value) in kept:
        return str(type(value))
    if isinstance(value, dict | list | tuple | nn.Module):
        kept = {**kept, id(value): value}
    if isinstance(value, dict):
        return {key: _without_structure(item, kept) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_structure(item, kept) for item in value]
    if isinstance(value, nn.Module):
        held = [{**attributes(part), **part._buffers, **part._parameters} for part in value.modules()]
        return [str(type(value)), *(_without_structure(each, kept) for each in held)]
    return value.detach() if isinstance(value, nn.Parameter) else value


def _shape(tensor: Any) -> tuple[int, ...] | None:
    return tuple(tensor.shape) if isinstance(tensor, Tensor) else None


def _has_addresses(value: Any, state: State) -> bool:
    """Whether a dictionary is keyed by addresses of parameters, which mean nothing to the next process."""
    return isinstance(value, dict) and bool(value.keys() & {id(p) for p in state.model.parameters()})


def _keep_types(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Give an optimiser its tensors in the types that they had: loading casts them to those of the parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, kept in saved["state"].items():
        owner = parameters[key] if isinstance(key, int) else key  # what is of no parameter has a name
        for name, value in kept.items() if isinstance(kept, dict) else ():
            if isinstance(value, Tensor) and optimizer.state[owner][name].dtype != value.dtype:
                optimizer.state[owner][name] = value.clone()


def _plain_numbers(value: Any) -> Any:
    """Return nested content with NumPy's numbers as Python's, which a safe loader reads, and tensors by themselves.

    Of a tensor that is a view, torch would save all that it is a view of.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor) and value.layout is torch.strided and value.untyped_storage().nbytes() > value.nbytes:
        return value.clone()
    if type(value) in (list, tuple):
        return type(value)(map(_plain_numbers, value))
    return {key: _plain_numbers(item) for key, item in value.items()} if type(value) is dict else value


def _is_plain(value: Any) -> bool:
    """Whether a value is one that a checkpoint can hold and a safe loader gives back."""
    if isinstance(value, dict):
        return type(value) is dict and all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple, torch.Size) and all(map(_is_plain, value))
    return type(value) in (int, float, bool, str, bytes, complex, type(None), Tensor, torch.dtype, torch.device)
