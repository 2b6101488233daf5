"""`UniqueKeyField`."""

from popoto.fields.unique_key_field.field import UniqueKeyField

__all__ = ["UniqueKeyField"]
