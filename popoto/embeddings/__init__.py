"""Providers of embeddings, which make vectors of texts.

Each is in a module of its own, and imports the package that it needs when it is made.
"""

from popoto.embeddings.provider import AbstractEmbeddingProvider

__all__ = ["AbstractEmbeddingProvider"]
