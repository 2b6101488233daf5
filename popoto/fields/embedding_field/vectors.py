"""A field's vectors on the server: their keys, what saves say of them, and plans that read and replace them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from popoto.embeddings import AbstractEmbeddingProvider
from popoto.fields.companions import Fragment, Store
from popoto.storage import Call, Script, ask, ask_all
from popoto.storage.commands.hashes import hdel, hmget, hset
from popoto.storage.commands.keys import delete
from popoto.storage.commands.sorted_sets import zadd, zrem
from popoto.storage.steps import Arg

_PACKAGE: Final = "popoto.fields.embedding_field"
FRAGMENT: Final = Fragment("embedded", _PACKAGE)
DIGEST_BYTES: Final = 16
# 1,000 vectors of 384 dimensions are 1.6 MB: 3 ms of a server's time.
_PAGE_BYTES: Final = 2_000_000
MOST_ROWS: Final = 500
_CHANGES: Final = Script("popoto.embedded.changes", _PACKAGE, "changes.lua", shape=list[Any], writes=False)
_SWAP: Final = Script("popoto.embedded.swap", _PACKAGE, "swap.lua", shape=int, writes=True)
_NOTE: Final = Script("popoto.embedded.note", _PACKAGE, "note.lua", shape=int, writes=True)


class Changes(NamedTuple):
    """One reply of `changes.lua`.

    Attributes:
        epoch: the time from which versions are counted; empty when there are no vectors.
        since, upto: from which version the page goes on, and up to which it tells all.
        newest: the newest version.
        provider, model, dim: who made the vectors, and how many numbers each has.
        total: how many there are.
        keys, values: rows, and a digest and vector of each.
        gone: rows that have none any more.
    """

    epoch: bytes
    since: int
    upto: int
    newest: int
    provider: str
    model: str
    dim: int
    total: int
    keys: list[bytes]
    values: list[bytes | None]
    gone: list[bytes]


class Made(NamedTuple):
    """A vector that is to be stored, with who made it.

    Attributes:
        provider, model, dim: who, and how many numbers it has.
        value: a digest of the text, then the numbers as float32.
    """

    provider: str
    model: str
    dim: int
    value: bytes

    @property
    def words(self) -> tuple[str | bytes | int, ...]:
        """What the fragment is told; the last but one names a new epoch, should one begin."""
        return self.provider, self.model, self.dim, secrets.token_hex(8), self.value


def text_digest(provider: AbstractEmbeddingProvider, text: str) -> bytes:
    """What tells whether a stored vector is of this text and this maker: 16 bytes."""
    made_of = "\0".join((provider.name, provider.model, text))
    return blake2b(made_of.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Vectors:
    """One field's keys.

    Attributes:
        base: what they begin with, apart from a store's own prefix.
    """

    base: str

    @property
    def stores(self) -> tuple[Store, ...]:
        """What is kept for each row: its vector, and the vector's version."""
        return Store("H", f"{self.base}:vectors"), Store("Z", f"{self.base}:versions")

    def keys(self, prefix: str, *names: str) -> list[str]:
        """Some of the keys, by default of vectors, versions, meta and of what is gone."""
        return [f"{prefix}{self.base}:{name}" for name in names or ("vectors", "versions", "meta", "gone")]

    async def stored(self, prefix: str, keys: Sequence[bytes]) -> list[bytes | None]:
        """The stored vectors of some rows, each behind its digest."""
        (vectors,) = self.keys(prefix, "vectors")
        return await ask(hmget(vectors, *keys)) if keys else []

    async def changes(self, prefix: str, state: tuple[bytes, int], *, whole: bool = True) -> Changes:
        """One page of what has changed since a state, with the vectors unless the keys are enough."""
        raw = await ask(Call(_CHANGES, self.keys(prefix), [*state, _PAGE_BYTES, int(whole)]))
        since, upto, newest, dim, count = (int(float(one)) for one in (*raw[1:4], raw[6], raw[7]))
        provider, model = raw[4].decode(), raw[5].decode()
        return Changes(raw[0], since, upto, newest, provider, model, dim, count, *raw[8:])

    # -- making all anew

    async def begin(self, prefix: str) -> None:
        """Drop what an interrupted remaking has left."""
        await ask(delete(*self.keys(prefix, "next", "next_versions")))

    async def add(self, prefix: str, made: Mapping[bytes, Made | None], number: int) -> int:
        """Put vectors aside, take away those that are None, and return the number of the last."""
        vectors, versions = self.keys(prefix, "next", "next_versions")
        values = {key: one.value for key, one in made.items() if one is not None}
        lost = [key for key in made if key not in values]
        steps: list[Any] = [hdel(vectors, *lost), zrem(versions, *lost)] if lost else []
        if values:
            steps.append(hset(vectors, values))
            steps.append(zadd(versions, {key: float(number + place) for place, key in enumerate(values, 1)}))
        await ask_all(steps)
        return number + len(values)

    async def swap(self, prefix: str, state: tuple[bytes, int], maker: tuple[str, str, int], number: int) -> bool:
        """Put what was put aside in its place, unless something has changed since a state."""
        names = ("vectors", "versions", "meta", "gone", "next", "next_versions")
        words: list[Arg] = [*state, *maker, secrets.token_hex(8), number]
        return bool(await ask(Call(_SWAP, self.keys(prefix, *names), words)))


async def note(keys: Sequence[bytes], field: str, raw: bytes) -> None:
    """Note in rows how many dimensions their vectors have."""
    for start in range(0, len(keys), MOST_ROWS):
        await ask(Call(_NOTE, keys[start : start + MOST_ROWS], [field, raw]))
