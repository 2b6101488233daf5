"""The plain field, and the contract that every field keeps."""

from popoto.fields.field.field import Field, value_code

__all__ = ["Field", "value_code"]
