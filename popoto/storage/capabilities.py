"""What a store can do beyond the base, and how a RESP server is asked: by trying. Nothing here performs I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from popoto.exceptions import Busy, Denied, ReplyError
from popoto.storage.steps import Raw

BASE: Final = "base"
CAPABILITIES: Final[dict[str, str]] = {
    "lua": "server-side scripts",
    "cmsgpack": "msgpack inside scripts, so that a page of rows is one reply",
    "geo": "geospatial indexes and circles",
    "geo-box": "geospatial search in a box",
    "pubsub": "channels",
    "streams": "streams with consumer groups",
    "bits": "bits of strings",
    "field-ttl": "expiry of hash fields",
    "intercard": "cardinality of an intersection",
    "expire-flags": "conditional expiry",
    "persistent": "what was acknowledged survives a restart",
}
"""Every capability that may be claimed. The base, what Redis 6.2 has, cannot be declined."""


@dataclass(frozen=True, slots=True)
class Info:
    """What a connection knows of its store.

    Attributes:
        server: the product, as `redis`, `valkey` or `fakeredis`.
        version: its version, "" where it tells none.
        capabilities: the names it claims, from `CAPABILITIES`.
        cluster: whether keys are spread over hash slots.
        notes: remarks for a report.
    """

    server: str
    version: str
    capabilities: frozenset[str]
    cluster: bool = False
    notes: tuple[str, ...] = field(default=())


_KEY: Final = b"popoto:capability"
_PROBES: Final[tuple[tuple[str, tuple[bytes, ...]], ...]] = (
    ("lua", (b"EVAL", b"return redis.call('EXISTS', KEYS[1])", b"1", _KEY)),
    ("cmsgpack", (b"EVAL", b"return cmsgpack.pack(1)", b"0")),
    ("geo", (b"GEOSEARCH", _KEY, b"FROMLONLAT", b"1", b"1", b"BYRADIUS", b"1", b"m", b"ASC")),
    ("geo-box", (b"GEOSEARCH", _KEY, b"FROMLONLAT", b"1", b"1", b"BYBOX", b"1", b"1", b"m", b"ASC")),
    ("pubsub", (b"PUBSUB", b"NUMSUB", _KEY)),
    ("streams", (b"XLEN", _KEY)),
    ("bits", (b"GETBIT", _KEY, b"0")),
    ("field-ttl", (b"HPTTL", _KEY, b"FIELDS", b"1", b"f")),
    ("intercard", (b"SINTERCARD", b"1", b"popoto:capability:set", b"LIMIT", b"1")),
    # EXPIRETIME came in the same version as the conditions of EXPIRE, and does not write.
    ("expire-flags", (b"EXPIRETIME", _KEY)),
)
# What is not about the command: a server says that a user may not have these keys when it knows the command.
_ELSEWHERE: Final = frozenset({"MOVED", "ASK", "CROSSSLOT", "CLUSTERDOWN", "TRYAGAIN", "NOPERM"})


def probes() -> list[tuple[bytes, ...]]:
    """One read-only batch that shows what a server can do."""
    return [(b"INFO", b"server"), (b"CLUSTER", b"INFO"), *(argv for _, argv in _PROBES)]


def found(replies: Sequence[Raw], *, server: str = "", notes: Sequence[str] = ()) -> Info:
    """What the replies to `probes()` say.

    Raises:
        Busy: when the server is loading its data or busy with a script.
        Denied: when the connection is not authenticated.
    """
    about, cluster, *answers = replies
    for reply in answers:
        # A server that cannot answer now says nothing of what it can do later.
        if isinstance(reply, Busy | Denied) and reply.code not in _ELSEWHERE:
            raise reply
    claims = {name for (name, _), reply in zip(_PROBES, answers, strict=True) if _can(reply)}
    facts = _facts(about)
    if not server:
        server = "valkey" if "valkey_version" in facts else facts.get("server_name", "redis")
    version = facts.get("valkey_version") or facts.get("redis_version", "")
    spread = facts.get("redis_mode", facts.get("server_mode")) == "cluster" or _cluster_enabled(cluster)
    return Info(server, version, frozenset(claims), cluster=spread, notes=tuple(notes))


def _can(reply: Raw) -> bool:
    return not isinstance(reply, ReplyError) or reply.code in _ELSEWHERE


def _cluster_enabled(reply: Raw) -> bool:
    return isinstance(reply, bytes) and b"cluster_state:" in reply


def _facts(about: Raw) -> dict[str, str]:
    if not isinstance(about, bytes | str):
        return {}
    text = about.decode("utf-8", "replace") if isinstance(about, bytes) else about
    lines = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in lines}
