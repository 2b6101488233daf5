"""Embeddings of OpenAI, and of services that speak its protocol."""

from __future__ import annotations

from typing import Final

from popoto.embeddings.clients import PerProcess, package
from popoto.embeddings.provider import AbstractEmbeddingProvider

# https://platform.openai.com/docs/guides/embeddings
_DIMENSIONS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


class OpenAIProvider(AbstractEmbeddingProvider):
    """Embeddings of OpenAI, through the package openai (`popoto[openai]`).

    A text that is longer than the model's context is refused by the service. `input_type` makes no difference.
    """

    name = "openai"
    # A request may have 300,000 tokens in all its texts together.
    max_batch_bytes = 300_000

    def __init__(
        self,
        api_key: str | None = None,
        model: str = "text-embedding-3-small",
        dim: int = 1536,
        timeout: float = 60.0,
    ) -> None:
        """Make the client; nothing is sent.

        Args:
            api_key: the key, else OPENAI_API_KEY.
            model: the model.
            dim: the dimensions, sent unless they are the model's own.
            timeout: how long to wait for an answer, in seconds.

        Raises:
            ImportError: openai is not installed.
            EmbeddingError: there is no key.
        """
        library = package("openai", extra="openai")
        self.model = model
        self._dimensions = dim
        with self._failing():
            self._client = PerProcess(lambda: library.OpenAI(api_key=api_key, timeout=timeout))

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self._dimensions

    @property
    def max_batch_size(self) -> int:
        """2048, what the service takes."""
        return 2048

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        """One vector for each text.

        Raises:
            EmbeddingError: the service or the way to it failed.
        """
        if not texts:
            return []
        asked = {} if self._dimensions == _DIMENSIONS.get(self.model) else {"dimensions": self._dimensions}
        with self._failing():
            answer = self._client().embeddings.create(input=texts, model=self.model, **asked)
            return [list(map(float, item.embedding)) for item in sorted(answer.data, key=lambda item: item.index)]
