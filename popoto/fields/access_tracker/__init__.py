"""Reads that are noted, and counted once they are confirmed."""

from popoto.fields.access_tracker.mixin import AccessTrackerMixin

__all__ = ["AccessTrackerMixin"]
