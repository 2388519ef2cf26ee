"""Check, before any training, that the runs of a figure will provide what its panels and claims need."""

from collections.abc import Iterator, Mapping

from normscape.errors import UserError
from normscape.evidence.claims import Claim
from normscape.evidence.curves import Curves, Use, indexed
from normscape.evidence.figure import Figure
from normscape.evidence.finished import FinishedRun, facts_of
from normscape.evidence.statistics import Statistic
from normscape.identity import identity
from normscape.overview.outline import outline
from normscape.schema import RunConfig


def planned(config: RunConfig) -> FinishedRun | None:
    """Return a run as it will be when it has finished, with rows but no values; None if that cannot be known."""
    found = outline(config)
    return None if found is None else FinishedRun(config, found)


def require_evidence(figure: Figure, configs: Mapping[str, RunConfig], plans: Mapping[str, FinishedRun | None]) -> None:
    """Raise `UserError` if a panel or a claim of a figure would be left without rows.

    Parameters
    ----------
    figure
        The figure.
    configs, plans
        One config of each run by its label, and the run as it will be (`planned`); of others than the figure's too.

    Raises
    ------
    UserError
        If two of its runs have become the same run, a run will not measure what the figure's table asks for, or a
        claim asks for a run or a curve that there will not be.
    """
    same: dict[str, str] = {}
    for name in figure.runs:
        other = same.setdefault(identity(configs[name]), name)
        if other != name:
            reason = "the figure compares them; leave out the setting that both have now"
            raise UserError(f"{figure.label}: with these settings {other} and {name} are the same run; {reason}")
    for name in figure.runs:
        facts_of(configs[name])
    runs = [run for run in map(plans.get, figure.runs) if run is not None]
    if not runs or len(runs) < len(figure.runs):  # a diagram, or networks whose layers are known when they run
        return
    try:
        table = figure.module.table(runs)
    except UserError as error:
        raise UserError(f"{figure.label}: {error}") from error
    curves = Curves({key: curve for each in indexed(table).values() for key, curve in each.of.items()})
    for claim in figure.claims:
        about = curves.about(claim.about)
        for use in {use for statistic in _statistics(claim) for use in statistic.uses()}:
            _require(use, about, f"{figure.label}: claim {claim.name}: {_meant(claim)}")


def _statistics(claim: Claim) -> Iterator[Statistic]:
    """Yield every statistic of a claim."""
    yield from (claim.statistic, *claim.parts, *claim.evidence, *claim.resolved)
    for reason in claim.reasons:
        yield from _statistics(reason)


def _require(use: Use, curves: Curves, whose: str) -> None:
    """Raise `UserError` unless there will be exactly one curve, or one for each edge of a range."""
    found = [key for key in curves.of if (key.series, key.quantity, key.layer) == (*use[:2], use.layer or 0)]
    what = f"{use.quantity}{'' if use.layer is None else f' of layer {use.layer}'} of {use.series}"
    if not found:
        raise UserError(f"{whose}: no run of the figure will have {what} with these settings")
    if len(found) > len({key.edge for key in found}) and not use.every_rate:
        rates = ", ".join(sorted({f"lr {key.lr:g}" for key in found}))
        raise UserError(f"{whose}: several runs will have {what} ({rates}); the claim must say which it is about")


def _meant(claim: Claim) -> str:
    return ", ".join(f"{fact}={value}" for fact, value in claim.about.items()) or "any run"
