"""The graph of one field of one model on one store: its keys, its scripts, and the plans that use them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Sequence
from dataclasses import dataclass
from typing import Any, Final

from popoto.storage import Call, Script, ask
from popoto.storage.commands.keys import scan
from popoto.storage.steps import Arg

TAG: Final = "$CoOcF"
SOURCES_TAG: Final = "$CoOcR"
# What 1.6 wrote; the reference has always said TAG.
OLDER_TAG: Final = "$CoOccurrencF"
# Edges of one node: what one script may have to move or drop.
MOST_EDGES: Final = 5000
LARGEST_WEIGHT: Final = 1e6
SMALLEST_WEIGHT: Final = 0.001
# Nodes whose edges one script drops; each may have thousands.
_FEW: Final = 8
_GLOB: Final = str.maketrans({letter: f"\\{letter}" for letter in "*?[]\\^"})

_PACKAGE: Final = "popoto.fields.co_occurrence_field"


def _raw(reply: Any) -> Any:
    return reply


CHANGE: Final[Script[Any]] = Script("popoto.edges.change", _PACKAGE, "change.lua", shape=_raw, writes=True)
LINKED: Final[Script[Any]] = Script("popoto.edges.linked", _PACKAGE, "linked.lua", shape=_raw, writes=False)
SPREAD: Final[Script[Any]] = Script("popoto.edges.spread", _PACKAGE, "spread.lua", shape=_raw, writes=False)
ADOPT: Final[Script[Any]] = Script("popoto.edges.adopt", _PACKAGE, "adopt.lua", shape=_raw, writes=True)
STRAYS: Final[Script[Any]] = Script("popoto.edges.strays", _PACKAGE, "strays.lua", shape=_raw, writes=False)
CLEAN: Final[Script[Any]] = Script("popoto.edges.strays", _PACKAGE, "strays.lua", shape=_raw, writes=True)


def encoded(pk: str) -> bytes:
    """A node's name on the wire; keys that are no UTF-8 keep their bytes."""
    return pk.encode("utf-8", "surrogateescape")


def decoded(raw: bytes) -> str:
    """The node that bytes name."""
    return raw.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Graph:
    """A field's graph on one store.

    Attributes:
        prefix: what stands in front of every key of the model.
        model_name, field_name: whose it is.
        most: edges that a node keeps.
        symmetric: whether every change is made in both directions.
    """

    prefix: str
    model_name: str
    field_name: str
    most: int
    symmetric: bool

    def base(self, tag: str) -> str:
        """What the keys of one kind begin with."""
        return f"{self.prefix}{tag}:{self.model_name}:{self.field_name}:"

    def key(self, pk: str, tag: str = TAG) -> bytes:
        """A node's key."""
        return encoded(self.base(tag) + pk)

    @property
    def bases(self) -> list[str]:
        """What the scripts know the keys by."""
        return [self.base(TAG), self.base(SOURCES_TAG), self.base(OLDER_TAG)]

    async def change(self, verb: str, first: str, second: str | None, amount: float, bound: float = 0.0) -> Any:
        """Change the edges of a node, or those between two."""
        nodes = [first] if second is None else [first, second]
        words: list[Arg] = [verb, *self.bases, self.most, int(self.symmetric), encoded(first), encoded(second or "")]
        return await ask(Call(CHANGE, [self.key(pk) for pk in nodes], [*words, repr(amount), repr(bound)]))

    async def linked(self, pk: str, min_weight: float, limit: int) -> list[tuple[str, float]]:
        """A node's heaviest edges."""
        keys = [self.key(pk), self.key(pk, OLDER_TAG)]
        return pairs(await ask(Call(LINKED, keys, [repr(min_weight), limit])))

    async def adopt(self) -> None:
        """Take over what 1.6 wrote and bring every node's sources up to date, a node at a time."""
        for tag in (OLDER_TAG, TAG):
            async for nodes in self._nodes(tag, b""):
                for node in nodes:
                    words: list[Arg] = [*self.bases, self.most, int(self.symmetric), node]
                    await ask(Call(ADOPT, [encoded(self.base(TAG)) + node], words))

    async def strays(self, removing: bool, expired: Container[bytes]) -> int:
        """How many nodes, named as rows of the model, have edges and no row; their edges go when asked."""
        rows = encoded(f"{self.model_name}:")
        found: set[bytes] = set()
        for tag in (TAG, SOURCES_TAG, OLDER_TAG):
            async for nodes in self._nodes(tag, rows):
                for start in range(0, len(nodes), _FEW):
                    found.update(await self._lost(nodes[start : start + _FEW], removing))
        return sum(1 for node in found if encoded(self.prefix) + node not in expired)

    async def _lost(self, nodes: Sequence[bytes], removing: bool) -> list[bytes]:
        words: list[Arg] = [int(removing), *self.bases, self.prefix]
        lost: list[bytes] = []
        while True:
            some: list[bytes] = await ask(Call(CLEAN if removing else STRAYS, [self.key("")], [*words, *nodes]))
            lost += some
            # What is left of a node with very many edges goes with the next call.
            if not removing or not some:
                return lost
            nodes = some

    async def _nodes(self, tag: str, begin: bytes) -> AsyncIterator[list[bytes]]:
        base = self.base(tag)
        pattern = encoded(base.translate(_GLOB) + decoded(begin).translate(_GLOB) + "*")
        cursor, skipped = 0, len(encoded(base))
        while True:
            cursor, keys = await ask(scan(cursor, match=pattern, count=500))
            yield [key[skipped:] for key in keys]
            if cursor == 0:
                return


def pairs(raw: Sequence[bytes]) -> list[tuple[str, float]]:
    """A script's nodes and weights."""
    return [(decoded(raw[place]), float(raw[place + 1])) for place in range(0, len(raw), 2)]
