"""`AutoKeyField`."""

from popoto.fields.auto_key_field.field import AutoKeyField

__all__ = ["AutoKeyField"]
