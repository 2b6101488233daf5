"""Mutants that end badly."""

from __future__ import annotations

from mutants.mutant import Closing, Mutant
from popoto.exceptions import Unavailable


class ClosesOnce(Mutant):
    """Fails when it is closed again."""

    killed_by = "test_batches"

    def close(self, times: int) -> Closing:
        if times > 1:
            raise Unavailable("this backend is closed already")
        yield "backend"


class WorksAfterClose(Mutant):
    """Opens its connections again when it is used after it was closed."""

    killed_by = "test_batches"

    def close(self, times: int) -> Closing:
        yield "wire"
