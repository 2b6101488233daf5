"""`SortedKeyField`."""

from popoto.fields.sorted_key_field.field import SortedKeyField

__all__ = ["SortedKeyField"]
