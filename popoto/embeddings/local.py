"""Embeddings that this machine makes itself, with a model of sentence-transformers."""

from __future__ import annotations

from threading import Lock
from typing import Any

from popoto.embeddings.clients import package
from popoto.embeddings.provider import AbstractEmbeddingProvider
from popoto.exceptions import EmbeddingError


class SentenceTransformersProvider(AbstractEmbeddingProvider):
    """Embeddings by a model of sentence-transformers (`popoto[local]`), in this process.

    A text that is longer than the model's context is cut off. Where the model has words of its own for queries and
    documents, `input_type` chooses among them.
    """

    name = "sentence-transformers"

    def __init__(self, model: str = "all-MiniLM-L6-v2") -> None:
        """Import the package; the model is loaded, and downloaded if need be, at the first use.

        Args:
            model: the model's name, or its folder.

        Raises:
            ImportError: sentence-transformers is not installed.
        """
        self._library = package("sentence_transformers", extra="local")
        self.model = model
        self._loaded: Any = None
        # The tokenizers refuse to work for two threads at once: "Already borrowed".
        self._lock = Lock()

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has; loads the model.

        Raises:
            EmbeddingError: the model cannot be loaded, or does not tell.
        """
        with self._lock, self._failing():
            model = self._ready()
            # Releases differ in what they call it.
            told = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
            found = told()
        if found is None:
            raise EmbeddingError(f"{self._named} does not tell its dimensions: choose another model")
        return int(found)

    @property
    def max_batch_size(self) -> int:
        """256; the library cuts it further to fit its device."""
        return 256

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        """One vector for each text.

        Raises:
            EmbeddingError: the model cannot be loaded, or failed.
        """
        if not texts:
            return []
        with self._lock, self._failing():
            encode = self._encoder(input_type)
            vectors: list[list[float]] = encode(texts, show_progress_bar=False, convert_to_numpy=True).tolist()
        return vectors

    def _ready(self) -> Any:
        if self._loaded is None:
            self._loaded = self._library.SentenceTransformer(self.model)
        return self._loaded

    def _encoder(self, input_type: str | None) -> Any:
        model = self._ready()
        # encode_query and encode_document came with version 5.
        return getattr(model, f"encode_{input_type}", model.encode) if input_type else model.encode
