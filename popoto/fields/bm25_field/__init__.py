"""A field that ranks rows by the words of another: `BM25Field`."""

from popoto.fields.bm25_field.field import BM25Field

__all__ = ["BM25Field"]
