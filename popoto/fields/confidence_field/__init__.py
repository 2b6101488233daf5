"""A confidence that evidence moves."""

from popoto.fields.confidence_field.field import ConfidenceField

__all__ = ["ConfidenceField"]
