"""A field that keeps a vector of another field's text: `EmbeddingField`."""

from popoto.fields.embedding_field.field import EmbeddingField, field_of, invalidate_cache

__all__ = ["EmbeddingField", "field_of", "invalidate_cache"]
