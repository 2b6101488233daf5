"""`KeyField`."""

from popoto.fields.key_field.field import KeyField

__all__ = ["KeyField"]
