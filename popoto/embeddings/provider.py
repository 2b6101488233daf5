"""What an embedding provider is, and how its answers are asked for and checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any

from popoto.exceptions import BadEmbedding, EmbeddingError, ModelException


class AbstractEmbeddingProvider(ABC):
    """Turns texts into vectors.

    A subclass writes `embed`, `dimensions` and `max_batch_size`, and sets `name` and `model`. popoto calls `embed_all`.

    Attributes:
        name: which provider made a vector, as `"voyage"`; stored with the vectors. The class's name unless set.
        model: which model made it; stored with the vectors.
        max_batch_bytes: how many bytes of UTF-8 one call may hold, where the service limits the tokens of a request
            (a token is at least one byte); None where it does not. A longer text goes alone.
    """

    name: str = ""
    model: str = ""
    max_batch_bytes: int | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if not cls.name:
            cls.name = cls.__name__

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """How many numbers a vector has.

        Raises:
            EmbeddingError: it is known only after the first answer.
        """

    @property
    @abstractmethod
    def max_batch_size(self) -> int:
        """How many texts one call of `embed` may have."""

    @abstractmethod
    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        """One vector for each text, in their order; none for none.

        Args:
            texts: at most `max_batch_size` of them.
            input_type: `"document"` for what is stored, `"query"` for what is searched for; None says neither.
                Providers that make no difference ignore it.

        Raises:
            EmbeddingError: the provider failed. Other exceptions are turned into one by `embed_all`.
        """

    def embed_all(self, texts: Sequence[str], input_type: str | None = None) -> list[list[float]]:
        """One vector for each text, in their order, in as many calls of `embed` as its limits ask for.

        Args:
            texts: any number of texts.
            input_type: as for `embed`.

        Raises:
            ModelException: the texts are not a list of texts.
            EmbeddingError: the provider failed; its exception is the cause.
            BadEmbedding: it answered with too few or too many vectors, or with one that has other dimensions or a
                number that is not finite.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ModelException("embed_all(texts) takes a list of texts, and each is a str")
        vectors: list[list[float]] = []
        for batch in self._batches(texts):
            with self._failing():
                answer = self.embed(batch, input_type=input_type)
                vectors += self._checked(batch, answer)
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[list[str]]:
        most = self.max_batch_size
        if most < 1:
            raise EmbeddingError(f"{self._named}: max_batch_size is {most}; it must be 1 or more")
        batch: list[str] = []
        size = 0
        for text in texts:
            bytes_of_text = len(text.encode("utf-8", "surrogatepass"))
            too_long = self.max_batch_bytes is not None and size + bytes_of_text > self.max_batch_bytes
            if batch and (len(batch) == most or too_long):
                yield batch
                batch, size = [], 0
            batch.append(text)
            size += bytes_of_text
        if batch:
            yield batch

    def _checked(self, texts: list[str], answer: list[list[float]]) -> list[list[float]]:
        try:
            vectors = [list(map(float, vector)) for vector in answer]
        except (TypeError, ValueError) as error:
            raise BadEmbedding(f"{self._named} answered with something that is no list of vectors: {error}") from error
        if len(vectors) != len(texts):
            raise BadEmbedding(f"{self._named} answered {len(texts)} texts with {len(vectors)} vectors")
        expected = self.dimensions
        for vector in vectors:
            if len(vector) != expected:
                raise BadEmbedding(
                    f"{self._named} answered with a vector of {len(vector)} dimensions where {expected} were expected:"
                    f" make the provider with the dimensions of its model"
                )
            if not all(map(isfinite, vector)):
                raise BadEmbedding(f"{self._named} answered with a vector in which a number is not finite")
        return vectors

    @property
    def _named(self) -> str:
        return f"the embedding provider {self.name}{f' ({self.model})' if self.model else ''}"

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Name the provider in whatever goes wrong."""
        try:
            yield
        except EmbeddingError:
            raise
        except Exception as error:
            raise EmbeddingError(f"{self._named} failed: {type(error).__name__}: {error}") from error
