"""Field types, one room each."""

from popoto.fields.auto_key_field import AutoKeyField
from popoto.fields.bm25_field import BM25Field
from popoto.fields.co_occurrence_field import CoOccurrenceField
from popoto.fields.confidence_field import ConfidenceField
from popoto.fields.content_field import ContentField
from popoto.fields.cyclic_decay_field import CyclicDecayField
from popoto.fields.dataframe_field import DataFrameField
from popoto.fields.datetime_field import DatetimeField
from popoto.fields.decaying_sorted_field import DecayingSortedField
from popoto.fields.embedding_field import EmbeddingField
from popoto.fields.existence_filter import ExistenceFilter
from popoto.fields.field import Field
from popoto.fields.frequency_sketch import FrequencySketch
from popoto.fields.geo_field import GeoField
from popoto.fields.indexed_field import IndexedField
from popoto.fields.key_field import KeyField
from popoto.fields.list_field import ListField
from popoto.fields.relationship import Relationship
from popoto.fields.sorted_field import SortedField
from popoto.fields.sorted_key_field import SortedKeyField
from popoto.fields.typed_fields import (
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
from popoto.fields.unique_field import UniqueField
from popoto.fields.unique_key_field import UniqueKeyField

__all__ = [
    "AutoKeyField",
    "BM25Field",
    "BooleanField",
    "BytesField",
    "CoOccurrenceField",
    "ConfidenceField",
    "ContentField",
    "CyclicDecayField",
    "DataFrameField",
    "DateField",
    "DatetimeField",
    "DecayingSortedField",
    "DecimalField",
    "DictField",
    "EmbeddingField",
    "ExistenceFilter",
    "Field",
    "FloatField",
    "FrequencySketch",
    "GeoField",
    "IndexedField",
    "IntField",
    "KeyField",
    "ListField",
    "Relationship",
    "SetField",
    "SortedField",
    "SortedKeyField",
    "StringField",
    "TimeField",
    "TupleField",
    "UniqueField",
    "UniqueKeyField",
]
