"""What each panel of the paper is summed up by, to say how near ours is."""

from dataclasses import replace

from normscape.evidence.comparing import ALL_NORMS, FINAL_LOSS, LP_NORMS
from normscape.evidence.marks import Final, StepsTo
from normscape.evidence.measures import Largest, Measure, Median, MedianAtStepSize, MedianSize, MedianWidth
from normscape.evidence.parts import BINS
from normscape.evidence.smoothness import AS_PLOTTED
from normscape.evidence.statistics import During, Of, Statistic
from normscape.reports.fidelity import Panel

PLAIN = ("standard", "batch")
NOISY = (*PLAIN, "noisy_batch")
MARKS = tuple(StepsTo(level=level) for level in (0.5, 0.8, 0.9, 0.99))
TRAINED = Final("train_accuracy", points=5)
TESTED = Final("test_accuracy", points=1)
VGG = {"net": "vgg", "lr": 0.1}
GRADIENT, BETA = AS_PLOTTED["gradient_difference"], AS_PLOTTED["effective_beta"]
AT_STEP_SIZES = tuple(MedianAtStepSize(GRADIENT, place=place) for place in (0, 1, 2, -1))


def _of(series: tuple[str, ...], *measures: Measure) -> tuple[Statistic, ...]:
    return tuple(Of(measure, name) for measure in measures for name in series)


def _in_bins(series: tuple[str, ...], *measures: Measure) -> tuple[Statistic, ...]:
    """Return measures of VGGs in each bin of training accuracy, each network at its own steps."""
    return tuple(During(statistic, part) for statistic in _of(series, *measures) for part in BINS)


def _foregone(figure: int | str, statistic: Statistic) -> bool:
    """Whether a number is near the paper's in any case: an accuracy at the end, β, a moment that noise sets."""
    plain = statistic.statistic if isinstance(statistic, During) else statistic
    if not isinstance(plain, Of):
        return False
    noise = plain.series == "noisy_batch" and plain.measure.quantity.startswith(("mean_", "variance_"))
    return noise or plain.measure in (TRAINED, TESTED) or (figure == 4 and plain.measure.quantity == BETA)


_PANELS = (
    Panel(1, "a: training, lr 0.1", _of(PLAIN, *MARKS, TRAINED), {"lr": 0.1}),
    Panel(1, "a: training, lr 0.5", _of(("batch",), *MARKS, TRAINED), {"lr": 0.5}),
    *(Panel(1, f"b: test accuracy, lr {rate:g}", _of(PLAIN, TESTED), {"lr": rate}) for rate in (0.1, 0.5)),
    Panel(2, "a: training, noisy", _of(("noisy_batch",), *MARKS, TRAINED)),
    *(
        Panel(
            3,
            f"a: covariate shift, layer {layer}, lr {rate:g}",
            _in_bins(PLAIN, Median("ics_l2", layer), Median("ics_cosine", layer)),
            {"net": "vgg", "lr": rate},
        )
        for rate in (0.1, 0.01)
        for layer in (5, 10)
    ),
    *(
        Panel(
            3,
            f"b: covariate shift, layer {layer}, lr {rate:g}",
            _of(PLAIN, Median("ics_l2", layer), Median("ics_cosine", layer)),
            {"net": "dln", "lr": rate},
        )
        for rate in (1e-6, 1e-7)
        for layer in (9, 17)
    ),
    Panel(3, "b: training loss, lr 1e-07", _of(PLAIN, FINAL_LOSS, Median("train_loss")), {"net": "dln", "lr": 1e-7}),
    Panel(4, "a: loss", _in_bins(PLAIN, MedianWidth("loss_landscape"))),
    Panel(4, "b: gradient predictiveness", _in_bins(PLAIN, MedianWidth(GRADIENT))),
    Panel(4, "c: effective beta", _in_bins(PLAIN, Median(BETA), Largest(BETA))),
    Panel(5, "a: training, VGG", _of(LP_NORMS, *MARKS, TRAINED), {"net": "vgg"}),
    Panel(5, "b: training loss, DLN", _of(ALL_NORMS, FINAL_LOSS, Median("train_loss")), {"net": "dln"}),
    *(
        Panel(8, f"layer {layer}", _of(NOISY, *(Median(f"{moment}_change", layer) for moment in moments), *drifts))
        for moments in (("mean", "variance"),)
        for layer in (2, 9, 13)
        for drifts in (tuple(MedianSize(f"{moment}_drift", layer) for moment in moments),)
    ),
    Panel(10, "a: loss", _of(PLAIN, MedianWidth("loss_landscape"))),
    Panel(10, "b: gradient predictiveness", _of(PLAIN, MedianWidth(GRADIENT))),
    Panel(10, "c: effective beta", _of(PLAIN, Median(BETA), Largest(BETA))),
    Panel(11, "a: VGG", _of(PLAIN, *AT_STEP_SIZES), {"net": "vgg"}),
    Panel(11, "b: DLN", _of(PLAIN, *AT_STEP_SIZES), {"net": "dln"}),
)

PANELS = tuple(
    replace(panel, foregone=frozenset(s for s in panel.statistics if _foregone(panel.figure, s))) for panel in _PANELS
)
