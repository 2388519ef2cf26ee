"""Print how exact the forms of BatchNorm are, against float64, and what the accurate one costs (a minute).

Errors are the largest difference over the largest value, where float32 can keep 6e-8. Times are of forward and
backward, all forms in turn on one thread: medians of the processor's time, as multiples of the plain form's in
channels-last memory.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from normscape.models import VGG
from normscape.norms import BatchNorm
from normscape.process.entry import Parser, entry_point

SHAPES = [(128, 64, 32, 32), (128, 8, 32, 32), (128, 16, 16, 16), (128, 64, 2, 2), (128, 100)]
MEANS = (0.0, 10.0)
WIDTHS = (0.125, 0.25)
QUANTITIES = ("output", "input grad", "weight grad", "bias grad", "running mean", "running var")
FORMS = {"contiguous": (False, False), "channels last": (True, False), "accurate": (True, True)}
"""Whether memory is laid out channels last, and whether BatchNorm is accurate."""


def results(norm: BatchNorm, x: Tensor, towards: Tensor) -> list[Tensor]:
    """Return the quantities of one training step of a new norm."""
    x = x.detach().requires_grad_()
    y = norm(x)
    gradients = torch.autograd.grad(y, (x, norm.weight, norm.bias), towards)
    return [y.detach(), *gradients, norm.running_mean, norm.running_var]


def laid_out(tensor: Tensor, last: bool) -> Tensor:
    """Return the tensor in channels-last memory, if it is one of images and should be."""
    return tensor.contiguous(memory_format=torch.channels_last) if last and tensor.dim() == 4 else tensor


def errors(shape: tuple[int, ...], mean: float) -> dict[str, list[float]]:
    """Return the errors of every form on values of standard deviation 1 and this mean."""
    torch.manual_seed(0)
    x = torch.randn(shape) + mean
    towards = torch.randn(shape) + 0.1 * x
    weight, bias = torch.rand(shape[1]) + 0.5, torch.randn(shape[1])

    def measured(last: bool, accurate: bool, dtype: torch.dtype = torch.float32) -> list[Tensor]:
        norm = BatchNorm(shape[1], accurate=accurate)
        norm.load_state_dict({**norm.state_dict(), "weight": weight, "bias": bias})
        return results(norm.to(dtype), laid_out(x, last).to(dtype), laid_out(towards, last).to(dtype))

    exact = measured(False, False, torch.float64)
    return {
        form: [float((a - b).abs().max() / b.abs().max()) for a, b in zip(measured(*options), exact, strict=True)]
        for form, options in FORMS.items()
    }


def cost_ratios(steps: dict[str, Callable[[], object]], base: str, repeats: int) -> dict[str, float]:
    """Return the median time of each step over that of the base, the steps taken in turn."""
    seconds: dict[str, list[float]] = {form: [] for form in steps}
    for _ in range(repeats + 2):
        for form, step in steps.items():
            begin = time.process_time()
            step()
            seconds[form].append(time.process_time() - begin)
    medians = {form: statistics.median(times[2:]) for form, times in seconds.items()}
    return {form: median / medians[base] for form, median in medians.items()}


def layer_costs(shape: tuple[int, ...], repeats: int) -> dict[str, float]:
    """Return the cost ratios of one layer."""
    steps: dict[str, Callable[[], object]] = {}
    for form, (last, accurate) in FORMS.items():
        norm = BatchNorm(shape[1], accurate=accurate)
        x, towards = laid_out(torch.randn(shape), last), laid_out(torch.randn(shape), last)
        steps[form] = lambda norm=norm, x=x, towards=towards: results(norm, x, towards)  # type: ignore[misc]
    return cost_ratios(steps, "channels last", repeats)


def network_costs(width: float, repeats: int) -> dict[str, float]:
    """Return the cost ratios of forward and backward passes of a whole VGG."""
    inputs, targets = torch.randn(128, 3, 32, 32), torch.randint(10, (128,))
    steps: dict[str, Callable[[], object]] = {}
    for form, accurate in (("channels last", False), ("accurate", True)):
        model = VGG(lambda channels, accurate=accurate: BatchNorm(channels, accurate=accurate), width=width)  # type: ignore[misc]

        def step(model: VGG = model) -> None:
            nn.functional.cross_entropy(model(laid_out(inputs, True)), targets).backward()  # type: ignore[no-untyped-call]

        steps[form] = step
    return cost_ratios(steps, "channels last", repeats)


def main() -> None:
    """Print the tables."""
    arguments = Parser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument(
        "--repeats", type=int, default=20, help="of each timing; small layers take ten times as many"
    )
    repeats = arguments.parse_args().repeats
    torch.set_num_threads(1)
    print(f"{'shape':18} {'mean':>4}  {'form':13}", *(f"{quantity:>12}" for quantity in QUANTITIES))
    for shape in SHAPES:
        for mean in MEANS:
            for form, found in errors(shape, mean).items():
                print(f"{shape!s:18} {mean:4.0f}  {form:13}", *(f"{error:12.1e}" for error in found))
    print(f"\n{'time of':18}", *(f"{form:>13}" for form in FORMS))
    for shape in SHAPES:
        print_ratios(str(shape), layer_costs(shape, repeats if torch.Size(shape).numel() > 1e6 else 10 * repeats))
    for width in WIDTHS:
        print_ratios(f"VGG, width {width}", network_costs(width, repeats))


def print_ratios(what: str, ratios: dict[str, float]) -> None:
    """Print a row of the second table."""
    print(f"{what:18}", *(f"{ratios[form]:13.2f}" if form in ratios else " " * 13 for form in FORMS))


if __name__ == "__main__":
    with entry_point():
        main()
