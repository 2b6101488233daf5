"""The graph of what occurs together."""

from popoto.fields.co_occurrence_field.field import CoOccurrenceField
from popoto.fields.co_occurrence_field.spreading import Associations

__all__ = ["Associations", "CoOccurrenceField"]
