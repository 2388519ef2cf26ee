"""Trackers mirror a run elsewhere, today in W&B, while it trains; the run's own store stays the record.

A tracker may fail and must not disturb: none of its methods raises, and none waits longer than it says. A failure
gives one warning on the ``normscape`` logger; then the tracker is off until its next ``start``.
"""

from normscape.trackers.none import NoTracker
from normscape.trackers.protocol import RunInfo, Tracker, metric_name
from normscape.trackers.wandb import WandbTracker

__all__ = ["NoTracker", "RunInfo", "Tracker", "WandbTracker", "metric_name"]
