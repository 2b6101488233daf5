"""A field whose values lie in a content store: `ContentField`."""

from popoto.fields.content_field.field import ContentField

__all__ = ["ContentField"]
