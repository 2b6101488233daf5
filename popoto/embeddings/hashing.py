"""A test double: vectors without a model, the same on every machine."""

from __future__ import annotations

import re
from collections import Counter
from hashlib import blake2b
from math import hypot
from typing import Final

from popoto.embeddings.provider import AbstractEmbeddingProvider
from popoto.exceptions import ModelException

_WORD: Final = re.compile(r"\w+")


class HashingProvider(AbstractEmbeddingProvider):
    """A test double for an embedding model: it knows words, and nothing of what they mean.

    Each word of a text adds 1 or -1 at one of the places of the vector, both told by the word's BLAKE2b digest
    (feature hashing: Weinberger et al., 2009, "Feature Hashing for Large Scale Multitask Learning"); the sum is
    brought to length 1. So texts are as near as they share words, always and everywhere, and "car" is as far from
    "automobile" as from "cloud". A text without words is the vector of zeros.
    """

    name = "hashing"
    model = "blake2b-signed-words"

    def __init__(self, dimensions: int = 256) -> None:
        """Choose the size of vectors.

        Args:
            dimensions: how many numbers a vector has; the fewer, the more words share a place.

        Raises:
            ModelException: it is not a whole number of 1 or more.
        """
        if not isinstance(dimensions, int) or dimensions < 1:
            raise ModelException(f"dimensions={dimensions!r}: write a whole number of 1 or more")
        self._dimensions = dimensions

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return self._dimensions

    @property
    def max_batch_size(self) -> int:
        """1000, so that tests with many texts see batches."""
        return 1000

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        """One vector for each text; queries and documents are alike."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self._dimensions
        for word, times in Counter(_WORD.findall(text.casefold())).items():
            digest = int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
            vector[(digest >> 1) % self._dimensions] += times if digest & 1 else -times
        length = hypot(*vector)
        return [number / length for number in vector] if length else vector
