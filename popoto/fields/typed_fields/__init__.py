"""Fields whose type is in their name."""

from popoto.fields.typed_fields.shortcuts import (
    BooleanField,
    BytesField,
    DateField,
    DecimalField,
    DictField,
    FloatField,
    IntField,
    SetField,
    StringField,
    TimeField,
    TupleField,
)

__all__ = [
    "BooleanField",
    "BytesField",
    "DateField",
    "DecimalField",
    "DictField",
    "FloatField",
    "IntField",
    "SetField",
    "StringField",
    "TimeField",
    "TupleField",
]
