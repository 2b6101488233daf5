"""Wires over a cluster: the client's slot map says where a key lives; each node has one wire.

The client's own pipelines repeat what failed, writes too, so they are not used: each node's commands are sent once,
and a MOVED answer, which means that the command did not run, is followed after the map was read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from popoto.exceptions import OutcomeUnknown, ReplyError, Unavailable
from popoto.storage.slots import SLOTS, slot
from popoto.storage.steps import Raw
from popoto.storage.wires import Argvs, AsyncPoolSubscription, AsyncPoolWire, PoolSubscription, PoolWire

if TYPE_CHECKING:
    from popoto.storage.clients import Client
    from popoto.storage.urls import URL

MOST_MOVES: Final = 5
EVERYWHERE: Final = -1
"""The slot of what goes to every primary."""
_KEYLESS: Final = frozenset({b"MULTI", b"EXEC"})


def _words(client: Client, url: URL, retry: Any) -> dict[str, Any]:
    words = client.words(url, retry)
    if url.scheme in ("rediss", "valkeys"):
        words["ssl"] = True
    words["port"] = url.hosts[0][1] or 6379 if url.hosts else 6379
    words["host"] = url.hosts[0][0] if url.hosts else "127.0.0.1"
    return words


def key_slot(argv: tuple[bytes, ...]) -> int | None:
    """The slot of a lowered command's first key; None for one without keys."""
    name = argv[0].upper()
    if name in (b"EVAL", b"EVALSHA"):
        return slot(argv[3]) if argv[2] != b"0" else None
    if name == b"SCAN" and b"MATCH" in argv:
        # The pattern begins with the hash tag of the keys that are looked for.
        return slot(argv[argv.index(b"MATCH") + 1].replace(b"\\", b""))
    if name in _KEYLESS or len(argv) < 2 or name in (b"INFO", b"CLUSTER", b"SCRIPT", b"PUBSUB", b"PUBLISH", b"SCAN"):
        return None
    if name in (b"XGROUP", b"BITOP"):
        return slot(argv[2])
    if name == b"XREADGROUP":
        return slot(argv[argv.index(b"STREAMS") + 1])
    if name in (b"SINTERCARD", b"ZINTERCARD"):
        return slot(argv[2])
    return slot(argv[1])


def routed(argvs: Argvs) -> list[list[int]]:
    """Indexes of commands by slot, in order of first use; a MULTI, its EXEC and what is between stay together."""
    groups: dict[int, list[int]] = {}
    open_multi: list[int] = []
    in_multi = False
    last = 0
    for at, argv in enumerate(argvs):
        if argv[0] == b"MULTI":
            in_multi, open_multi = True, [at]
            continue
        if argv[0] == b"SCRIPT":
            # The cache of scripts is each node's own.
            groups[EVERYWHERE - at] = [at]
            continue
        found = key_slot(argv)
        if in_multi:
            open_multi.append(at)
            last = found if found is not None else last
            if argv[0] == b"EXEC":
                in_multi = False
                groups.setdefault(last, []).extend(open_multi)
            continue
        groups.setdefault(found if found is not None else 0, []).append(at)
    return list(groups.values())


def moved(replies: Sequence[Raw]) -> bool:
    """Whether every reply says that the keys live elsewhere, so that nothing ran."""
    return (
        bool(replies)
        and any(isinstance(reply, ReplyError) and reply.code == "MOVED" for reply in replies)
        and not any(not isinstance(reply, ReplyError) and reply not in (b"OK", b"QUEUED") for reply in replies)
    )


def _stopped(error: Unavailable, done: int) -> Unavailable | OutcomeUnknown:
    """What it means that a node cannot be reached, after `done` other nodes were given their part of the batch."""
    return OutcomeUnknown(f"a part of the batch has run on other nodes: {error}") if done else error


def _agreed(replies: Sequence[Raw]) -> Raw:
    """One answer of many nodes: the first, or of flags whether any is set."""
    if all(isinstance(reply, list) for reply in replies):
        return [max(flags) for flags in zip(*replies, strict=True)]
    return replies[0]


def _group_slot(argvs: Argvs) -> int:
    for argv in argvs:
        found = key_slot(argv)
        if found is not None:
            return found
    return 0


class ClusterWire:
    """A blocking wire over the nodes of a cluster."""

    def __init__(self, client: Client, url: URL) -> None:
        self._library = client
        self._words = _words(client, url, client.retry())
        self._client: Any = None
        self._wires: dict[str, PoolWire] = {}

    @property
    def client(self) -> Any:
        """The client object, which keeps the slot map."""
        if self._client is None:
            family = self._library.family
            try:
                self._client = getattr(self._library.blocking, self._library.cluster)(**self._words)
            except (*family.broken, family.response_error, family.cluster_error) as error:
                raise family.refused(error) from error
        return self._client

    def _wire(self, number: int) -> PoolWire:
        return self._wire_of(self.client.nodes_manager.get_node_from_slot(number % SLOTS))

    def _wire_of(self, node: Any) -> PoolWire:
        inner = getattr(self.client, f"get_{self._library.name}_connection")(node)
        wire = self._wires.get(node.name)
        if wire is None or wire.pool is not inner.connection_pool:
            wire = self._wires[node.name] = PoolWire(inner.connection_pool, self._library.family)
        return wire

    def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Raw]:
        replies: list[Raw] = [None] * len(argvs)
        for number, group in enumerate(routed(argvs)):
            try:
                found = self._send_group([argvs[at] for at in group])
            except Unavailable as error:
                raise _stopped(error, number) from error
            for at, reply in zip(group, found, strict=True):
                replies[at] = reply
        return replies

    def _send_group(self, argvs: Argvs) -> list[Raw]:
        if argvs[0][0] == b"SCRIPT":
            return [_agreed([self._wire_of(node).send(argvs)[0] for node in self.client.get_primaries()])]
        number = _group_slot(argvs)
        for _ in range(MOST_MOVES):
            replies = self._wire(number).send(argvs)
            if not moved(replies):
                return replies
            self.client.nodes_manager.initialize()
        raise Unavailable("the cluster keeps moving this slot: try again")

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> PoolSubscription:
        return self._wire(0).subscribe(channels, patterns)

    def close(self) -> None:
        client, self._client = self._client, None
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()
        if client is not None:
            client.close()


class AsyncClusterWire:
    """An asyncio wire over the nodes of a cluster."""

    def __init__(self, client: Client, url: URL) -> None:
        self._library = client
        self._words = _words(client, url, client.async_retry())
        self._client: Any = None
        self._wires: dict[str, AsyncPoolWire] = {}

    @property
    def client(self) -> Any:
        """The client object, once something was sent."""
        return self._client

    async def _ready(self) -> Any:
        if self._client is None:
            family = self._library.family
            try:
                client = getattr(self._library.aio, self._library.cluster)(**self._words)
                await client.initialize()
            except (*family.broken, family.response_error, family.cluster_error) as error:
                raise family.refused(error) from error
            self._client = client
        return self._client

    async def _wire(self, number: int) -> AsyncPoolWire:
        return self._wire_of((await self._ready()).nodes_manager.get_node_from_slot(number % SLOTS))

    def _wire_of(self, node: Any) -> AsyncPoolWire:
        wire = self._wires.get(node.name)
        if wire is None:
            wire = self._wires[node.name] = AsyncPoolWire(self._pool(node), self._library.family)
        return wire

    def _pool(self, node: Any) -> Any:
        connections = self._library.aio.connection
        words = {name: value for name, value in node.connection_kwargs.items() if name not in ("host", "port")}
        return connections.ConnectionPool(
            connection_class=node.connection_class, host=node.host, port=node.port, **words
        )

    async def send(self, argvs: Argvs, keys: Sequence[bytes] = (), /) -> list[Raw]:
        replies: list[Raw] = [None] * len(argvs)
        for number, group in enumerate(routed(argvs)):
            try:
                found = await self._send_group([argvs[at] for at in group])
            except Unavailable as error:
                raise _stopped(error, number) from error
            for at, reply in zip(group, found, strict=True):
                replies[at] = reply
        return replies

    async def _send_group(self, argvs: Argvs) -> list[Raw]:
        if argvs[0][0] == b"SCRIPT":
            nodes = (await self._ready()).get_primaries()
            return [_agreed([(await self._wire_of(node).send(argvs))[0] for node in nodes])]
        number = _group_slot(argvs)
        for _ in range(MOST_MOVES):
            replies = await (await self._wire(number)).send(argvs)
            if not moved(replies):
                return replies
            await (await self._ready()).nodes_manager.initialize()
        raise Unavailable("the cluster keeps moving this slot: try again")

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes], /) -> AsyncPoolSubscription:
        return await (await self._wire(0)).subscribe(channels, patterns)

    async def close(self) -> None:
        client, self._client = self._client, None
        for wire in self._wires.values():
            await wire.close()
        self._wires.clear()
        if client is not None:
            await client.aclose()
