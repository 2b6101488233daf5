"""Deliberately broken backends, each in exactly one way, as a plug-in that a third party might have written.

`mutant://NAME` is one of them over the fake; `mutant://host:port?mutant=NAME` over a server, for what shows on a
socket only. `none` is the sound base. With `?restarts=yes` a mutant over the fake claims to be persistent, and can be
restarted. `tests/test_mutants.py` proves that the conformance suite fails on each.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import fakeredis
import redis

import popoto_fake
import popoto_redis
from mutants import (
    batches,
    capabilities,
    channels,
    corners,
    encodings,
    engines,
    expiry,
    geo,
    keyspace,
    lifetimes,
    natives,
    options,
    ranges,
    replies,
    restarts,
    scripts,
    sockets,
    structures,
    transactions,
)
from mutants.mutant import Mutant
from mutants.wrapping import AsyncMutantBackend, MutantBackend
from popoto.exceptions import BadURL
from popoto.storage import URL, AsyncBackend, AsyncRespBackend, Backend, PoolWire, RespBackend, hookimpl

_MODULES = (
    batches, capabilities, channels, corners, encodings, engines, expiry, geo, keyspace, lifetimes, natives, options,
    ranges, replies, restarts, scripts, sockets, structures, transactions,
)  # fmt: skip


def _name(kind: type[Mutant]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


KINDS: list[type[Mutant]] = [
    kind
    for module in _MODULES
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, Mutant)
    and kind.__module__ == module.__name__
    and not kind.__name__.startswith("_")
]
MUTANTS: dict[str, type[Mutant]] = {_name(kind): kind for kind in KINDS}
SOUND = "none"


def _mutant(url: URL, form: str) -> Mutant:
    name = url.options.get("mutant") or (url.hosts[0][0] if url.hosts else SOUND)
    if name != SOUND and name not in MUTANTS:
        raise BadURL(f"{url}: there is no mutant {name!r}")
    kind = MUTANTS.get(name, Mutant)
    return kind() if form in kind.forms else Mutant()


def _base(url: URL) -> tuple[Any, URL]:
    options = {name: value for name, value in url.options.items() if name not in {"mutant", "restarts"}}
    return (popoto_redis if "mutant" in url.options else popoto_fake), replace(url, options=options)


def _claims(url: URL) -> frozenset[str]:
    return frozenset({"persistent"}) if "restarts" in url.options else frozenset()


def _restart(url: URL) -> None:
    """Cut the connections to an in-process store, as a restart does, and let the mutant have its way with the data."""
    server = popoto_fake.server(_base(url)[1])
    server.connected = False
    time.sleep(0.02)
    server.connected = True
    with fakeredis.FakeRedis(server=server) as client:
        client.script_flush()
        _mutant(url, "blocking").restart(client)


@hookimpl
def popoto_connect(url: URL) -> Backend:
    """Open a mutant for blocking callers."""
    base, inner = _base(url)
    backend = base.popoto_connect(inner)
    assert isinstance(backend, RespBackend)
    return MutantBackend(backend, _mutant(url, "blocking"), _claims(url))


@hookimpl
def popoto_aconnect(url: URL) -> AsyncBackend:
    """Open a mutant for the running event loop."""
    base, inner = _base(url)
    backend = base.popoto_aconnect(inner)
    assert isinstance(backend, AsyncRespBackend)
    return AsyncMutantBackend(backend, _mutant(url, "asyncio"), _claims(url))


@hookimpl
def popoto_backend() -> Mapping[str, Any]:
    """What the bases may have."""
    return popoto_redis.popoto_backend()


@hookimpl
def popoto_conformance(url: URL) -> Mapping[str, Any]:
    """What the suite may do with a mutant: what it may do with the base."""
    if "mutant" in url.options:
        return {}
    return {**popoto_fake.popoto_conformance(url=url), "restart": partial(_restart, url)}


@hookimpl
def popoto_native(backend: Backend) -> Any:
    """The client object behind a mutant."""
    if isinstance(backend, MutantBackend) and isinstance(backend.inner, PoolWire):
        return backend.mutant.native(redis.Redis(connection_pool=backend.inner.pool))
    return None
