"""What a few steps of each network with each norm come to: python tests/golden.py keeps it anew in tests/golden.json.

The form is the same on every machine because nothing in it is sensitive to how a machine rounds. Training is in
float64, where kernels of different instruction sets differ by 1e-16 of a sum; the data are integers from a generator of
integers. Only random directions are drawn in float32, by kernels that round differently, so their rows have a wider
tolerance. Between torch's plainest kernels (ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE) and those for AVX2 no
number differs by more than 3e-11 of it, along random directions by 8e-7.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from normscape.build import build
from normscape.config import CONFIGS, compose_run
from normscape.data.dataset import Dataset, Split
from normscape.loop import train
from normscape.models.layered import glorot_

FILE = Path(__file__).with_name("golden.json")
REFRESH = "python tests/golden.py"
TOLERANCE, RANDOM_TOLERANCE, SMALLEST = 1e-8, 1e-5, 1e-10
"""Of a number, of one along a random direction, and what counts as zero, e.g. a bias before BatchNorm."""

NORMS = sorted(path.stem for path in (CONFIGS / "norm").glob("*.yaml"))
SMALL = {
    "vgg": ["model.width=0.03125", "model.configuration=A"],
    "mlp": ["model.hidden=[8,8,8]"],
    "dln": ["model.depth=5", "optimizer.lr=1e-6"],
}
CASES = [(model, norm) for model in SMALL for norm in NORMS if norm != "instance" or model == "vgg"]
SETTINGS = ["scale=smoke", "tracker=none", "steps=3", "log_every=1", "eval_every=3"]
SETTINGS += ["measure.every=2", "measure.activation_layers=[2,4]", "measure.ics_layers=[2,4]"]


@dataclass(frozen=True)
class Exact(Dataset):
    """Data that are whole numbers, as float64."""

    def network_inputs(self, stored):
        inputs = (stored.double() - 127.5) / 64
        return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs


def needs(model, norm):
    """Return settings for norms without meaning for vectors, or that need more samples than these mini-batches have."""
    images_alone = ["model.head=[]"] if model == "vgg" and norm in ("instance", "whitening") else []
    return [*images_alone, *(["norm.num_groups=2", "measure.noise_floor=false"] if norm == "whitening" else [])]


def exact_data(model):
    """Return 48 images in 10 classes, of which 16 are for testing, or 20 vectors with a linear map of them."""
    stream = torch.Generator().manual_seed(0)
    if model == "dln":
        stored = torch.randint(0, 256, (20, 10), generator=stream)
        A = torch.randint(0, 8, (10, 10), generator=stream)
        return Exact("exact", "", Split(stored, ((2 * stored - 255) @ A).double() / 1024))
    images = torch.randint(0, 256, (48, 3, 32, 32), generator=stream).to(torch.uint8)
    classes = torch.randint(0, 10, (48,), generator=stream)
    return Exact("exact", "", Split(images[:32], classes[:32]), Split(images[32:], classes[32:]))


def measured(model, norm, *changes, loop=train, device="cpu"):
    """Train three steps in float64 by a loop; return a number for each tensor of the state, and rows by quantity."""
    own = [*(["batch_size=12"] if model != "dln" else []), *needs(model, norm)]
    own += [f"device={device}", *changes]
    config = compose_run([f"run={model}_standard", f"norm={norm}", *SETTINGS, *SMALL[model], *own])
    made = build(config, torch.device(device))
    glorot_(made.state.model.double().cpu(), config.seed)
    made.state.model.to(torch.device(device))
    data = exact_data(model).to(torch.device(device))
    loop(replace(made.plan, dataset=data), made.state, lambda step, rows: True)
    assert made.state.step == config.steps
    found = {f"state {name}": [_size(tensor)] for name, tensor in made.state.model.state_dict().items()}
    for row in made.state.records.rows:
        where = f"{row.quantity} layer {row.layer}" if row.layer else row.quantity
        found.setdefault(where, []).append(row.value)
    for name, values in made.state.records.arrays().items():
        if not name.endswith("/steps"):
            found[name] = [_size(torch.from_numpy(values).double())]
    return found


def _size(tensor):
    """Return a norm of a tensor that moves when its entries change places."""
    values = tensor.double().flatten().cpu()
    return torch.linalg.vector_norm(values * (1 + torch.arange(len(values)) % 7 / 7)).item()


def differences(found, kept):
    """Return what differs between two results of `measured`: what, the old values and the new."""
    lines = []
    for name in sorted(found.keys() | kept.keys()):
        new, old = found.get(name, []), kept.get(name, [])
        tolerance = RANDOM_TOLERANCE if name.endswith("_random") else TOLERANCE
        if len(new) != len(old) or not all(map(lambda a, b: _close(a, b, tolerance), new, old)):
            lines.append(f"{name}: {old} became {new}")
    return lines


def _close(a, b, tolerance):
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=SMALLEST) or (math.isnan(a) and math.isnan(b))


def keep():
    """Write the file: a line for each quantity, so that a change of one shows as one."""
    blocks = []
    for model, norm in CASES:
        rows = [
            f"  {json.dumps(name)}: {json.dumps([float(f'{v:.12g}') if abs(v) > SMALLEST else 0.0 for v in values])}"
            for name, values in measured(model, norm).items()
        ]
        blocks.append(f'"{model} {norm}": {{\n' + ",\n".join(rows) + "\n}")
    FILE.write_text("{\n" + ",\n".join(blocks) + "\n}\n")


if __name__ == "__main__":
    keep()
    print(f"{len(CASES)} networks kept in {FILE}")
