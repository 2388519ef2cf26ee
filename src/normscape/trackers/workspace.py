"""Our W&B workspace as code: what the papers' figures show, of any runs, grouped by run with bands over seeds.

It needs the extra ``workspace`` (wandb-workspaces), which is imported here and nowhere else.
"""

from collections.abc import Sequence
from typing import Any

from normscape.trackers.opening import STEP
from normscape.trackers.protocol import MILESTONES, metric_name

NAME = "normscape"
ICS_LAYERS, ACTIVATION_LAYERS = (5, 10), (2, 3, 9, 11, 13)
"""The layers that figures show, as ``measure`` in ``configs/train.yaml`` has them."""

COLUMNS = (
    "status",
    "diverged_at",
    "test_accuracy_final",
    "test_accuracy_best",
    *(f"steps_to_{level}" for level in MILESTONES),
    "effective_beta_max",
    "ics_median",
)
"""Of the table of runs: what `normscape.outcome` has of a run."""


def workspace(
    entity: str,
    project: str,
    ics_layers: Sequence[int] = ICS_LAYERS,
    activation_layers: Sequence[int] = ACTIVATION_LAYERS,
) -> Any:
    """Return a ``wandb_workspaces.workspaces.Workspace``; nothing is sent before its ``save()``.

    Sections: training; internal covariate shift per layer; loss landscape, gradient predictiveness and effective
    beta-smoothness along the gradient, the first two as bands over the step sizes; activations.
    """
    import wandb_workspaces.workspaces as ws

    columns = ["run:displayName", *(f"summary:{name}" for name in COLUMNS)]
    return ws.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        sections=_sections(ics_layers, activation_layers),
        settings=ws.WorkspaceSettings(x_axis=STEP, max_runs=20, sort_panels_alphabetically=False),
        runset_settings=ws.RunsetSettings(
            groupby=[ws.Config("scale"), ws.Config("name")],
            order=[ws.Ordering(ws.Summary("test_accuracy_final"), ascending=False)],
            pinned_columns=columns,
        ),
        auto_generate_panels=False,
    )


def _sections(ics_layers: Sequence[int], activation_layers: Sequence[int]) -> list[Any]:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    def section(name: str, panels: list[Any]) -> Any:
        rows = -(-len(panels) // 3)
        return ws.Section(name=name, panels=panels, is_open=True, layout_settings=ws.SectionLayoutSettings(3, rows))

    def line(title: str, quantity: str, layer: int | None = None, **more: Any) -> Any:
        """Return one line per group, the mean over its seeds, with their range as a band."""
        over_seeds = {"y": [metric_name(quantity, layer)], "groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
        return wr.LinePlot(title=title, x=STEP, title_x="step", **{**over_seeds, **more})

    def band(title: str, quantity: str) -> Any:
        """Return one line per group, with its range over all step sizes and seeds as a band."""
        return line(title, quantity, y=[], metric_regex=f"{quantity}/step_size.*", aggregate=True, log_y=True)

    shift = "||G - G'||"
    return [
        section(
            "Training",
            [
                line("training accuracy", "train_accuracy", range_y=(0, 1)),
                line("test accuracy", "test_accuracy", range_y=(0, 1)),
                line("training loss", "train_loss", log_y=True),
            ],
        ),
        section(
            "Internal covariate shift",
            [line(f"{shift}, layer {layer}", "ics_l2", layer=layer, log_y=True) for layer in ics_layers]
            + [line(f"cos(G, G'), layer {layer}", "ics_cosine", layer=layer, range_y=(-1, 1)) for layer in ics_layers],
        ),
        section(
            "Landscape along the gradient",
            [
                band("loss", "loss_landscape"),
                band("change of the gradient (predictiveness)", "gradient_difference"),
                line("effective beta-smoothness", "effective_beta", log_y=True),
            ],
        ),
        section(
            "Activations of one unit",
            [line(f"variance, layer {layer}", "activation_variance", layer=layer) for layer in activation_layers]
            + [
                wr.MediaBrowser(
                    title="distributions", media_keys=[f"activations/layer{n:02d}" for n in activation_layers]
                )
            ],
        ),
    ]
