"""`DatetimeField`."""

from popoto.fields.datetime_field.field import DatetimeField

__all__ = ["DatetimeField"]
