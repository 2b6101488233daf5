"""Mutants whose client, which they hand out for a caller's own commands, is not the one that they use."""

from __future__ import annotations

from typing import Any

import redis

from mutants.mutant import Mutant


def _changed(client: Any, **words: Any) -> Any:
    pool = client.connection_pool
    made = redis.ConnectionPool(connection_class=pool.connection_class, **{**pool.connection_kwargs, **words})
    return redis.Redis(connection_pool=made)


class DecodesNatively(Mutant):
    """Hands out a client that decodes what it reads."""

    killed_by = "test_pipelines"

    def native(self, client: Any) -> Any:
        return _changed(client, decode_responses=True)


class WorksElsewhereNatively(Mutant):
    """Hands out a client of another database."""

    killed_by = "test_pipelines"

    def native(self, client: Any) -> Any:
        return _changed(client, db=1)
