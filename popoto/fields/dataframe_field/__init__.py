"""`DataFrameField`, which needs the extra `dataframe`."""

from popoto.fields.dataframe_field.field import DataFrameField

__all__ = ["DataFrameField"]
