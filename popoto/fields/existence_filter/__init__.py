"""A Bloom filter over what rows are about: `ExistenceFilter`."""

from popoto.fields.existence_filter.field import ExistenceFilter

__all__ = ["ExistenceFilter"]
