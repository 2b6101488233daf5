"""`SortedField`."""

from popoto.fields.sorted_field.field import SortedField

__all__ = ["SortedField"]
