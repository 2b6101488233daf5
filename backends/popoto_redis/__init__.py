"""Redis as a backend of popoto, through redis-py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.exceptions
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from popoto.storage import CAPABILITIES, URL, AsyncBackend, Backend, Client, Family, RespBackend, hookimpl

FAMILY = Family(
    connection_errors=(redis.exceptions.ConnectionError, redis.exceptions.InvalidResponse),
    timeout_errors=(redis.exceptions.TimeoutError,),
    response_error=redis.exceptions.ResponseError,
    auth_errors=(redis.exceptions.AuthenticationError, redis.exceptions.AuthorizationError),
    cluster_error=redis.exceptions.RedisClusterException,
)
CLIENT = Client(
    "redis",
    redis,
    redis.asyncio,
    "Redis",
    "RedisCluster",
    FAMILY,
    retry=lambda: Retry(NoBackoff(), 0),
    async_retry=lambda: AsyncRetry(NoBackoff(), 0),
)


@hookimpl
def popoto_connect(url: URL) -> Backend:
    """Open a Redis store for blocking callers."""
    return CLIENT.open(url)


@hookimpl
def popoto_aconnect(url: URL) -> AsyncBackend:
    """Open a Redis store for the running event loop."""
    return CLIENT.aopen(url)


@hookimpl
def popoto_backend() -> Mapping[str, Any]:
    """What a Redis server may have."""
    return {"capabilities": CAPABILITIES.keys() - {"persistent"}}


@hookimpl
def popoto_native(backend: Backend) -> Any:
    """The client object behind a backend."""
    return CLIENT.native(backend) if isinstance(backend, RespBackend) else None
