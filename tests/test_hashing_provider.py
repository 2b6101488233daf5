"""The provider for tests: the same vectors everywhere, near as texts share words."""

from __future__ import annotations

from math import fsum, hypot
from typing import Any

import pytest

from popoto import ModelException
from popoto.embeddings.hashing import HashingProvider


def test_hashed_vectors_are_the_same_everywhere() -> None:
    provider = HashingProvider(dimensions=8)
    # From the BLAKE2b digests: "red" adds 1 at place 6, "tea" takes 1 away at place 5.
    one, two = 5**-0.5, 2 * 5**-0.5
    assert provider.embed(["red", "Tea!", ""]) == [[0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, -1, 0, 0], [0.0] * 8]
    assert provider.embed_all(["red tea RED"])[0] == pytest.approx([0, 0, 0, 0, 0, -one, two, 0])
    assert (provider.dimensions, HashingProvider().dimensions, provider.name) == (8, 256, "hashing")


def test_hashed_texts_are_near_as_they_share_words() -> None:
    provider = HashingProvider()
    one, same, near, far = provider.embed_all(
        ["The cat sat on the mat", "the CAT, sat; on the mat!", "the dog sat on the mat", "prices rose sharply"]
    )

    def cosine(left: list[float], right: list[float]) -> float:
        return fsum(a * b for a, b in zip(left, right, strict=True))

    assert one == same
    assert cosine(one, one) == pytest.approx(1.0)
    assert cosine(one, near) > 0.7 > 0.3 > cosine(one, far)
    assert [round(hypot(*vector), 12) for vector in (one, near, far)] == [1.0] * 3


def test_a_hashed_vector_has_a_whole_number_of_dimensions() -> None:
    dimensions: Any
    for dimensions in (0, -1, 2.5, "8"):
        with pytest.raises(ModelException, match=r"dimensions=.*: write a whole number of 1 or more"):
            HashingProvider(dimensions)
