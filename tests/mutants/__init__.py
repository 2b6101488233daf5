"""Deliberately broken backends, each in exactly one way, as a plug-in that a third party might have written.

`mutant://NAME` is one of them over the fake; `mutant://host:port?mutant=NAME` over a server, for what shows on a
socket only. `none` is the sound base. `tests/test_mutants.py` proves that the conformance suite fails on each.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import popoto_fake
import popoto_redis
from mutants import (
    batches,
    capabilities,
    channels,
    encodings,
    expiry,
    geo,
    keyspace,
    lifetimes,
    options,
    ranges,
    replies,
    scripts,
    sockets,
    structures,
    transactions,
)
from mutants.mutant import Mutant
from mutants.wrapping import AsyncMutantBackend, MutantBackend
from popoto.exceptions import BadURL
from popoto.storage import URL, AsyncBackend, AsyncRespBackend, Backend, RespBackend, hookimpl

_MODULES = (
    batches, capabilities, channels, encodings, expiry, geo, keyspace, lifetimes, options, ranges, replies, scripts,
    sockets, structures, transactions,
)  # fmt: skip


def _name(kind: type[Mutant]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


MUTANTS: dict[str, type[Mutant]] = {
    _name(kind): kind
    for module in _MODULES
    for kind in vars(module).values()
    if isinstance(kind, type)
    and issubclass(kind, Mutant)
    and kind.__module__ == module.__name__
    and not kind.__name__.startswith("_")
}
SOUND = "none"


def _mutant(url: URL, form: str) -> Mutant:
    name = url.options.get("mutant") or (url.hosts[0][0] if url.hosts else SOUND)
    if name != SOUND and name not in MUTANTS:
        raise BadURL(f"{url}: there is no mutant {name!r}")
    kind = MUTANTS.get(name, Mutant)
    return kind() if form in kind.forms else Mutant()


def _base(url: URL) -> tuple[Any, URL]:
    options = {name: value for name, value in url.options.items() if name != "mutant"}
    return (popoto_redis if "mutant" in url.options else popoto_fake), replace(url, options=options)


@hookimpl
def popoto_connect(url: URL) -> Backend:
    """Open a mutant for blocking callers."""
    base, inner = _base(url)
    backend = base.popoto_connect(inner)
    assert isinstance(backend, RespBackend)
    return MutantBackend(backend, _mutant(url, "blocking"))


@hookimpl
def popoto_aconnect(url: URL) -> AsyncBackend:
    """Open a mutant for the running event loop."""
    base, inner = _base(url)
    backend = base.popoto_aconnect(inner)
    assert isinstance(backend, AsyncRespBackend)
    return AsyncMutantBackend(backend, _mutant(url, "asyncio"))


@hookimpl
def popoto_backend() -> Mapping[str, Any]:
    """What the bases may have."""
    return popoto_redis.popoto_backend()


@hookimpl
def popoto_conformance(url: URL) -> Mapping[str, Any]:
    """What the suite may do with a mutant: what it may do with the base."""
    if "mutant" in url.options:
        return {}
    return popoto_fake.popoto_conformance(url=url)
