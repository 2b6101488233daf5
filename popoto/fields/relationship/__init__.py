"""`Relationship`."""

from popoto.fields.relationship.field import Relationship

__all__ = ["Relationship"]
