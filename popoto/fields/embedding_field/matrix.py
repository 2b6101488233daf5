"""The vectors of one field as this process knows them: one growing matrix. Nothing here talks to a server."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from popoto.fields.embedding_field.vectors import DIGEST_BYTES, Changes

# A row's 32 bits in the order of the machines that there are.
FLOAT: Final = np.dtype("<f4")
_GROWTH: Final = 1.5
_LEAST: Final = 64


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a search.

    Attributes:
        key: its key, with the store's own prefix.
        score: what it is ranked by.
        similarity: the cosine of its vector and the query's; None when it is not above 0.
        boost: what was added; None for nothing.
    """

    key: bytes
    score: float
    similarity: float | None
    boost: float | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a search wants.

    Attributes:
        vector: the query's, of length 1.
        among: the keys of the rows that may be found; None for all.
        boosts: what is added for rows by their keys.
        aggregate: how a similarity and a boost become a score: SUM, MIN or MAX of those that a row has.
        least: the least score; None for any.
    """

    vector: Any
    among: Collection[bytes] | None = None
    boosts: Mapping[bytes, float] | None = None
    aggregate: str = "SUM"
    least: float | None = None


class Matrix:
    """Vectors by row, kept up to date by pages of changes; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin(b"", ("", ""), 0, 0)

    def _begin(self, epoch: bytes, maker: tuple[str, str], dim: int, room: int) -> None:
        self.epoch = epoch
        self.version = 0
        self.maker = maker
        self.dim = dim
        self._keys: list[bytes] = []
        self._places: dict[bytes, int] = {}
        self._rows = np.empty((room, dim), dtype=FLOAT)

    @property
    def state(self) -> tuple[bytes, int]:
        """The epoch and version up to which all is known."""
        with self._lock:
            return self.epoch, self.version

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, asked: tuple[bytes, int], page: Changes) -> bool:
        """Take a page of changes that was asked for in some state; whether everything is known now.

        Raises:
            ValueError: a vector has not the length that all have.
        """
        with self._lock:
            if asked != (self.epoch, self.version):
                return False  # another thread was quicker: this page may be the older one
            if page.epoch != self.epoch or page.since != self.version:
                self._begin(page.epoch, (page.provider, page.model), page.dim, page.total)
            for key in page.gone:
                self._remove(key)
            self._put(page.keys, page.values)
            self.version = page.upto
            return page.upto >= page.newest

    def _put(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        found = [(key, value) for key, value in zip(keys, values, strict=True) if value is not None]
        if not found:
            return
        size = DIGEST_BYTES + FLOAT.itemsize * self.dim
        if any(len(value) != size for _, value in found):
            raise ValueError(f"a stored vector has not {self.dim} dimensions")
        raw = np.frombuffer(b"".join(value for _, value in found), dtype=np.uint8).reshape(len(found), size)
        vectors = np.ascontiguousarray(raw[:, DIGEST_BYTES:]).view(FLOAT)
        places = []
        for key, _ in found:
            place = self._places.get(key)
            if place is None:
                place = self._places[key] = len(self._keys)
                self._keys.append(key)
            places.append(place)
        if len(self._keys) > len(self._rows):
            grown = np.empty((max(_LEAST, int(len(self._keys) * _GROWTH)), self.dim), dtype=FLOAT)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        self._rows[places] = vectors

    def _remove(self, key: bytes) -> None:
        place = self._places.pop(key, None)
        if place is None:
            return
        last = self._keys.pop()
        if last != key:
            self._keys[place] = last
            self._places[last] = place
            self._rows[place] = self._rows[len(self._keys)]

    def whole(self) -> tuple[Any, list[bytes]]:
        """A copy of the matrix, and the key of each of its rows."""
        with self._lock:
            return self._rows[: len(self._keys)].copy(), list(self._keys)

    def best(self, wish: Wish, most: int) -> list[Found]:
        """The rows with the highest scores, of equal ones the lower key; one product, and a partition of its result."""
        with self._lock:
            # Without rows it is not known how long they are.
            scores = self._rows[: len(self._keys)] @ wish.vector if self._keys else np.empty(0, dtype=FLOAT)
            plain = not wish.boosts and wish.among is None
            similarities = scores if plain else scores.copy()
            lost = self._boosted(wish, scores)
            if wish.among is not None:
                mask = np.zeros(len(scores), dtype=bool)
                mask[[self._places[key] for key in wish.among if key in self._places]] = True
                scores[~mask] = -np.inf
            places = _highest(scores, most, 0.0 if plain else -np.inf, wish.least)
            found = [
                Found(self._keys[place], float(scores[place]), _positive(similarities[place]), None)
                for place in places.tolist()
            ]
        if wish.boosts:
            found = [Found(one.key, one.score, one.similarity, wish.boosts.get(one.key)) for one in found]
        found += [one for one in lost if wish.least is None or one.score >= wish.least]
        return sorted(found, key=lambda one: (-one.score, one.key))[:most]

    def _boosted(self, wish: Wish, scores: Any) -> list[Found]:
        """Turn similarities into scores in place; rows that have a boost and no vector are returned."""
        if not wish.boosts:
            if wish.among is not None:
                scores[scores <= 0] = -np.inf
            return []
        here = [(self._places[key], boost) for key, boost in wish.boosts.items() if key in self._places]
        places = np.array([place for place, _ in here], dtype=np.intp)
        added = np.array([boost for _, boost in here], dtype=np.float64)
        known = scores[places].astype(np.float64)
        join: Any = {"SUM": np.add, "MIN": np.minimum, "MAX": np.maximum}[wish.aggregate]
        joined = np.where(known > 0, join(known, added), added)
        scores[scores <= 0] = -np.inf
        scores[places] = joined
        return [
            Found(key, boost, None, boost)
            for key, boost in wish.boosts.items()
            if key not in self._places and (wish.among is None or key in wish.among)
        ]

    def similarities(self, vector: Any, most: int) -> dict[bytes, float]:
        """The rows most similar to a vector, and how much."""
        return {one.key: one.score for one in self.best(Wish(vector), most)}


def _positive(similarity: Any) -> float | None:
    return float(similarity) if similarity > 0 else None


def _highest(scores: Any, most: int, above: float, least: float | None) -> Any:
    """The places of the highest scores, with all that are equal to the last of them."""
    if 0 < most < len(scores):
        edge = np.partition(scores, len(scores) - most)[len(scores) - most]
        places = np.flatnonzero(scores >= edge)
    else:
        places = np.arange(len(scores))
    chosen = scores[places]
    good = chosen > above
    if least is not None:
        good &= chosen >= least
    return places[good]


def normalised(vectors: Sequence[Sequence[float]]) -> Any:
    """Vectors of length 1, as a matrix; those of zeros stay as they are."""
    rows = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0).astype(FLOAT)


def packed(vectors: Sequence[Sequence[float]]) -> list[bytes]:
    """The bytes of each vector, brought to length 1."""
    return [row.tobytes() for row in normalised(vectors)] if vectors else []


_kept: WeakKeyDictionary[Any, dict[str, Matrix]] = WeakKeyDictionary()
_keeping = threading.Lock()


def kept(connection: Any, base: str) -> Matrix:
    """This process's matrix of a field on a connection."""
    with _keeping:
        return _kept.setdefault(connection, {}).setdefault(base, Matrix())


def forget(model_name: str | None = None) -> None:
    """Drop the matrices of a model, or all."""
    with _keeping:
        for matrices in _kept.values():
            for base in [one for one in matrices if model_name is None or f":{model_name}:" in one]:
                del matrices[base]


def _after_fork() -> None:
    global _keeping, _kept
    _keeping, _kept = threading.Lock(), WeakKeyDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
