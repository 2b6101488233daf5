"""Embeddings of Voyage AI."""

from __future__ import annotations

from typing import Final

from popoto.embeddings.clients import PerProcess, package
from popoto.embeddings.provider import AbstractEmbeddingProvider

# https://docs.voyageai.com/docs/embeddings; every other model has 1024 unless it is asked for others.
_DIMENSIONS: Final = {"voyage-3-lite": 512, "voyage-large-2": 1536, "voyage-code-2": 1536}
_USUAL_DIMENSIONS: Final = 1024


class VoyageProvider(AbstractEmbeddingProvider):
    """Embeddings of Voyage AI, through the package voyageai (`popoto[voyage]`).

    A text that is longer than the model's context is cut off by the service.
    """

    name = "voyage"
    # A request may have 120,000 tokens with the strictest models; the rest is for the words that the service adds.
    max_batch_bytes = 100_000

    def __init__(
        self, api_key: str | None = None, model: str = "voyage-3", dim: int | None = None, timeout: float = 60.0
    ) -> None:
        """Make the client; nothing is sent.

        Args:
            api_key: the key, else VOYAGE_API_KEY.
            model: the model.
            dim: the dimensions, sent where they are not the model's own, which None stands for.
            timeout: how long to wait for an answer, in seconds.

        Raises:
            ImportError: voyageai is not installed.
            EmbeddingError: there is no key; newer releases of voyageai say so only when a text is embedded.
        """
        library = package("voyageai", extra="voyage")
        self.model = model
        self._own = _DIMENSIONS.get(model, _USUAL_DIMENSIONS)
        self._dimensions = self._own if dim is None else dim
        with self._failing():
            self._client = PerProcess(lambda: library.Client(api_key=api_key, timeout=timeout))

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self._dimensions

    @property
    def max_batch_size(self) -> int:
        """128, what every version of the service takes."""
        return 128

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        """One vector for each text; `input_type` is sent along.

        Raises:
            EmbeddingError: the service or the way to it failed.
        """
        if not texts:
            return []
        asked = {} if self._dimensions == self._own else {"output_dimension": self._dimensions}
        with self._failing():
            answer = self._client().embed(texts, model=self.model, input_type=input_type, **asked)
            return [list(map(float, vector)) for vector in answer.embeddings]
