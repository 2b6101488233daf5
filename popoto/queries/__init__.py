"""Queries: from keywords to rows. What ranked ones give with `explain=True` is a list of `Hit`."""

from popoto.queries.hits import Hit, Part

__all__ = ["Hit", "Part"]
