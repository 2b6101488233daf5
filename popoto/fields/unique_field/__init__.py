"""`UniqueField`."""

from popoto.fields.unique_field.field import UniqueField

__all__ = ["UniqueField"]
