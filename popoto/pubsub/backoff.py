"""How long to wait before a lost connection is tried again. Nothing here performs I/O or reads a clock."""

from __future__ import annotations


class Backoff:
    """Waits that double from one failure to the next, up to a most."""

    def __init__(self, first_seconds: float, most_seconds: float) -> None:
        self.first_seconds = first_seconds
        self.most_seconds = most_seconds
        self._next_seconds = first_seconds
        self._due_at = 0.0

    def failed(self, now: float) -> float:
        """Note a failure and return how long to wait."""
        waited, self._next_seconds = self._next_seconds, min(self._next_seconds * 2, self.most_seconds)
        self._due_at = now + waited
        return waited

    def worked(self) -> None:
        """Begin anew with the shortest wait."""
        self._next_seconds = self.first_seconds
        self._due_at = 0.0

    def left(self, now: float) -> float:
        """Seconds until the next try, 0 when it is due."""
        return max(0.0, self._due_at - now)
