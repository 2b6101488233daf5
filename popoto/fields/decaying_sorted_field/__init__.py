"""`DecayingSortedField`."""

from popoto.fields.decaying_sorted_field.field import DecayingSortedField

__all__ = ["DecayingSortedField"]
