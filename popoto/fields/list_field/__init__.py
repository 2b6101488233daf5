"""`ListField`."""

from popoto.fields.list_field.capped import CappedList
from popoto.fields.list_field.field import ListField

__all__ = ["CappedList", "ListField"]
