"""The hooks that a plug-in may implement. Each has a heading in `docs/how-to/write-a-backend.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pluggy

from popoto.storage.protocol import AsyncBackend, Backend
from popoto.storage.urls import URL

hookspec = pluggy.HookspecMarker("popoto")
hookimpl = pluggy.HookimplMarker("popoto")


@hookspec(firstresult=True)
def popoto_connect(url: URL) -> Backend | None:
    """Open the store of a URL for blocking callers; None when the URL is not this plug-in's."""


@hookspec(firstresult=True)
def popoto_aconnect(url: URL) -> AsyncBackend | None:
    """Open the store of a URL for the running event loop; None when the URL is not this plug-in's."""


@hookspec(firstresult=True)
def popoto_backend() -> Mapping[str, Any] | None:
    """What is known of the plug-in before it connects: `{"capabilities": [...]}`."""


@hookspec(firstresult=True)
def popoto_conformance(url: URL) -> Mapping[str, Any] | None:
    """What the conformance suite has to know; every fact may be left out.

    `deviations` maps cases to reasons, `restart` is a callable that stops the store and starts it on its data,
    `in_process` says that no other process can reach it, `url` is one under which all connections see one store.
    """


@hookspec(firstresult=True)
def popoto_native(backend: Backend) -> Any:
    """The client object behind a backend, as `redis.Redis`; None when it is not this plug-in's."""
