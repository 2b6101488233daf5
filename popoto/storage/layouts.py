"""How a store's keys are spelled: the namespace in front, and a cluster's hash tag. Nothing here performs I/O."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache


@dataclass(frozen=True, slots=True)
class Layout:
    """The part of every key that depends on the store and not on the model.

    Attributes:
        namespace: a prefix that separates applications on one server, "" for none.
        cluster: whether every key of a model carries a hash tag, so that its scripts stay in one slot.
        packs: whether a script can answer with one packed reply.
    """

    namespace: str = ""
    cluster: bool = False
    packs: bool = False

    def prefix(self, tag: str) -> str:
        """What stands in front of every key of the model whose hash tag this is."""
        space = f"{self.namespace}:" if self.namespace else ""
        return f"{space}{{{tag}}}" if self.cluster else space


PLAIN = Layout()


@cache
def of_server(layout: Layout, capabilities: frozenset[str]) -> Layout:
    """The layout on a server that claims these capabilities."""
    return replace(layout, packs="cmsgpack" in capabilities)
