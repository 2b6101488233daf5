"""`IndexedField`."""

from popoto.fields.indexed_field.field import IndexedField

__all__ = ["IndexedField"]
