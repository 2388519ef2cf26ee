"""The tracker of a run that is mirrored nowhere."""

from normscape.trackers.protocol import Tracker


class NoTracker(Tracker):
    """Mirrors nothing and imports nothing."""
