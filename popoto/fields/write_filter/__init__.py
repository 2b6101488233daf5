"""Rows that are worth keeping, and those that matter most."""

from popoto.fields.write_filter.mixin import WriteFilterMixin

__all__ = ["WriteFilterMixin"]
