"""The audit of a normalisation or a network: a figure whose runs are made from what the user names."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Drawing

from beyond.compared import compared_claims, compared_rows
from beyond.side_by_side import draw_side_by_side, table_of
from normscape.drawing.panels import seeds_in_words
from normscape.drawing.style import STYLE, short_label
from normscape.evidence.cells import value_and_spread
from normscape.evidence.claims import Claim, Verdict
from normscape.evidence.figure import Figure, Shown
from normscape.evidence.table import select
from normscape.process.own_files import is_known

SERIES = ("standard", "batch", "own")
SHORT = ("run=vgg_standard", "study=short")


def figure(norm: str | None, model: str | None, settings: Sequence[str] = ()) -> Figure:
    """Return the figure that audits a normalisation, a network, or a normalisation in a network.

    Parameters
    ----------
    norm
        The dotted path of a normalisation, put into the VGG or into ``model``.
    model
        The dotted path of a network. Without ``norm`` it is measured as it is, beside the VGG; with it, the network
        takes each of the three normalisations.
    settings
        Overrides for the runs of what is audited; those of the network for all runs that have it.
    """
    net = ("model=own", f"model._target_={model}", "net=own") if model else ()
    everywhere = net if norm else ()
    mine = tuple(each for each in settings if "model." in each.split("=")[0]) if norm else ()
    own_norm = ("norm=standard", f"norm._target_={norm}") if norm else ("norm=standard",)
    name = (norm or model or "").rpartition(".")[2]
    runs = {  # what is audited comes first: what is refused of it is said at once
        "own": (*SHORT, *net, *own_norm, *settings, "series=own", f"name='{name}'"),
        "standard": (*SHORT, *everywhere, *mine, "name=standard"),
        "batch": (*SHORT, *everywhere, *mine, "norm=batch", "series=batch", "name=batch"),
    }
    target = " in ".join(filter(None, (norm, model)))
    module = ModuleType("audit")
    vars(module).update(table=compared_rows, CLAIMS=_claims("own" if norm and model else "vgg"), draw=_draw, page=_page)
    named = ",".join([target.replace(" in ", "-in-"), *(each.lstrip("+").replace(" ", "") for each in settings)])
    title = f"Beside no normalisation and BatchNorm: {named}"
    return Figure("beyond", "audit", title, runs, (), (), module, called="The audit")


def _claims(net: str) -> list[Claim]:
    """Return what is judged of BatchNorm, to compare with, and of what is audited."""
    return [*compared_claims("batch", net), *compared_claims("own", net)]


def _draw(shown: Shown) -> Drawing:
    with mpl.rc_context(STYLE):
        return draw_side_by_side(shown, SERIES)


def _page(shown: Shown, verdicts: tuple[Verdict, ...]) -> list[str]:
    """Return the page: a picture, a table, and a sentence for each verdict."""
    lines = [f"# Audit of `{_target(shown)}`", "", "![Training and landscape, side by side](audit.png)"]
    lines += table_of(shown.rows, SERIES)
    lines += ["", "What is over standard is at equal training accuracy: below 1 is smoother, or shifts less."]
    for series in ("own", "batch"):
        lines += ["", f"## {short_label(series)}", ""]
        lines += [_sentence(verdict) for verdict in verdicts if f"_{series}_" in verdict.claim.name]
    lines += ["", f"Scale {shown.rows['scale'].iloc[0]}, {seeds_in_words(shown.rows)}."]
    return lines


def _target(shown: Shown) -> str:
    """Return what was audited, and the network that all runs had where it is not the suite's own, from its settings."""
    own, standard = (select(shown.rows, series=name)["run"].iloc[0] for name in ("own", "standard"))
    run, plain = shown.configs[own], shown.configs[standard]
    parts = [part for part in ("norm", "model") if run[part]["_target_"] != plain[part]["_target_"]] or ["model"]
    if parts == ["norm"] and not is_known(run["model"]["_target_"]):
        parts = ["norm", "model"]
    return " in ".join(_called(run[part]) for part in parts)


def _called(component: Mapping[str, Any]) -> str:
    """Return a component as it would be called, e.g. ``mypackage.MyNorm(eps=0.1)``."""
    settings = ", ".join(f"{key}={value}" for key, value in component.items() if not key.startswith("_"))
    return f"{component['_target_']}({settings})" if settings else str(component["_target_"])


def _sentence(verdict: Verdict) -> str:
    claim, measured = verdict.claim, verdict.measured
    numbers = f"{value_and_spread(measured, 3)}; must be {claim.threshold}"
    return f"- {claim.statement}: **{verdict.words}** ({measured.words}: {numbers})."
