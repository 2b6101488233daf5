"""Valkey as a backend of popoto, through valkey-py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import valkey
import valkey.asyncio
import valkey.asyncio.sentinel
import valkey.exceptions
import valkey.sentinel
from valkey.asyncio.retry import Retry as AsyncRetry
from valkey.backoff import NoBackoff
from valkey.retry import Retry

from popoto.storage import CAPABILITIES, URL, AsyncBackend, Backend, Client, Family, RespBackend, hookimpl

FAMILY = Family(
    connection_errors=(valkey.exceptions.ConnectionError, valkey.exceptions.InvalidResponse),
    timeout_errors=(valkey.exceptions.TimeoutError,),
    response_error=valkey.exceptions.ResponseError,
    auth_errors=(valkey.exceptions.AuthenticationError, valkey.exceptions.AuthorizationError),
    cluster_error=valkey.exceptions.ValkeyClusterException,
    pool_words=("POPOTO",),
)
CLIENT = Client(
    "valkey",
    valkey,
    valkey.asyncio,
    "Valkey",
    "ValkeyCluster",
    FAMILY,
    retry=lambda: Retry(NoBackoff(), 0),
    async_retry=lambda: AsyncRetry(NoBackoff(), 0),
)


@hookimpl
def popoto_connect(url: URL) -> Backend:
    """Open a Valkey store for blocking callers."""
    return CLIENT.open(url)


@hookimpl
def popoto_aconnect(url: URL) -> AsyncBackend:
    """Open a Valkey store for the running event loop."""
    return CLIENT.aopen(url)


@hookimpl
def popoto_backend() -> Mapping[str, Any]:
    """What a Valkey server may have."""
    return {"capabilities": CAPABILITIES.keys() - {"persistent"}}


@hookimpl
def popoto_native(backend: Backend) -> Any:
    """The client object behind a backend."""
    return CLIENT.native(backend) if isinstance(backend, RespBackend) else None
