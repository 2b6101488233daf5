"""A mixin of models that notes when rows are read, and counts those reads that mattered."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from popoto import clock
from popoto.exceptions import Denied, ModelException, OutOfMemory, ReadOnly, StaleObjectError
from popoto.fields.companions import Action, Companion, Fragment, Store
from popoto.fields.signals import Signal
from popoto.storage import Call, Op, Script, ask_all, layout
from popoto.storage.drivers.aio import in_event_loop

R = TypeVar("R")
NAME: Final = "AccessTrackerMixin"
FRAGMENT: Final = Fragment("access", "popoto.fields.access_tracker")
STAGE: Final = Script("popoto.stage_reads", "popoto.fields.access_tracker", "stage.lua", shape=int, writes=True)
# Rows whose reads are noted in one step, and steps in one round trip.
MOST_ROWS: Final = 200
MOST_STEPS: Final = 50
_PROMOTING: Final = ("acted", "used")
_logger: Final = logging.getLogger("popoto.fields")
_refusals: Final[set[type[Exception]]] = set()


class AccessTrackerMixin:
    """Notes each read of a row, staged until it is confirmed; put it before Model in the bases.

    Rows that a query gives to a user are noted by one further round trip for the whole answer: `get`, `load`,
    `get_many`, `filter`, `all`, iteration and ranked queries. `count`, `keys`, `values`, `exists`, queries with
    `no_track()`, and the verbs that load rows only to write them, note nothing. A server that takes no writes never
    makes a read fail: that is logged once.

    Attributes:
        _max_access_log: how many confirmed moments are kept for each row, and how many staged ones; all are counted.
        _track_reads: whether queries note reads by themselves.
    """

    _max_access_log: ClassVar[int] = 100
    _track_reads: ClassVar[bool] = True

    if TYPE_CHECKING:

        @classmethod
        def _run(cls, plan: Op[Any], pipeline: Any = None) -> Any: ...
        @classmethod
        async def _arun(cls, plan: Op[Any], pipeline: Any = None) -> Any: ...
        def _acting(
            self, actions: Sequence[Action], *, reading: bool = False, changed: Sequence[str] = ()
        ) -> Op[list[Any]]: ...

    @classmethod
    def _companions(cls, model_name: str) -> Sequence[Companion]:
        stores = (
            Store("K", f"$AT:{model_name}:staged"),
            Store("K", f"$AT:{model_name}:access_log"),
            Store("K", f"$AT:{model_name}:meta"),
            Store("Z", f"$AT:{model_name}:count"),
        )
        inherited: Sequence[Companion] = super()._companions(model_name)  # type: ignore[misc]
        return (*inherited, Companion(FRAGMENT, NAME, stores))

    @classmethod
    def _signals(cls, model_name: str) -> Mapping[str, Signal]:
        inherited: Mapping[str, Signal] = super()._signals(model_name)  # type: ignore[misc]
        counted = Signal("score", f"$AT:{model_name}:count")
        return {**inherited, "access_count": counted, "access_score": counted}

    @classmethod
    def _outcome_actions(cls, outcome: str) -> Sequence[Action]:
        inherited: Sequence[Action] = super()._outcome_actions(outcome)  # type: ignore[misc]
        return (*inherited, cls._confirming() if outcome in _PROMOTING else Action(NAME, "discard"))

    @classmethod
    def _read(cls, rows: Iterable[Any]) -> Op[None] | None:
        listed = list(rows)
        return _staged(cls, listed) if cls._track_reads and listed else None

    @classmethod
    def _staging(cls) -> Action:
        return Action(NAME, "stage", (repr(clock.now()), max(1, cls._max_access_log)))

    @classmethod
    def _confirming(cls) -> Action:
        return Action(NAME, "confirm", (max(1, cls._max_access_log),))

    # -- reads

    def on_read(self, pipeline: Any = None) -> Any:
        """Note that the row is read now; on one that is not stored nothing happens.

        Args:
            pipeline: a pipeline in which it waits.

        Returns:
            None, or the pipeline when one was given.
        """
        return self._run(_quietly(self._acting([self._staging()])), pipeline)

    async def async_on_read(self, pipeline: Any = None) -> Any:
        """`on_read` for asyncio."""
        return await self._arun(_quietly(self._acting([self._staging()])), pipeline)

    def confirm_access(self, pipeline: Any = None) -> Any:
        """Count the staged reads, in one atomic step.

        Args:
            pipeline: a pipeline in which it waits.

        Returns:
            How many were staged; or the pipeline when one was given.

        Raises:
            TypeError: when the row is not stored.
        """
        return self._run(_confirmed(self), pipeline)

    async def async_confirm_access(self, pipeline: Any = None) -> Any:
        """`confirm_access` for asyncio."""
        return await self._arun(_confirmed(self), pipeline)

    def discard_staged_access(self, pipeline: Any = None) -> Any:
        """Forget the staged reads.

        Args:
            pipeline: a pipeline in which it waits.

        Returns:
            None, or the pipeline when one was given.
        """
        return self._run(_quietly(self._acting([Action(NAME, "discard")])), pipeline)

    async def async_discard_staged_access(self, pipeline: Any = None) -> Any:
        """`discard_staged_access` for asyncio."""
        return await self._arun(_quietly(self._acting([Action(NAME, "discard")])), pipeline)

    @property
    def access_count(self) -> int:
        """How many reads were confirmed, read from the store; 0 when none was.

        Raises:
            ModelException: inside a running event loop, which it would block.
        """
        self._refuse_to_block("access_count")
        return int(self._run(_looked(self, "count")) or 0)

    async def async_access_count(self) -> int:
        """`access_count` for asyncio."""
        return int(await self._arun(_looked(self, "count")) or 0)

    @property
    def last_accessed(self) -> float | None:
        """When the last confirmed read was, in Unix seconds, read from the store; None when none was.

        Raises:
            ModelException: inside a running event loop, which it would block.
        """
        self._refuse_to_block("last_accessed")
        raw = self._run(_looked(self, "last"))
        return None if raw is None else float(raw)

    async def async_last_accessed(self) -> float | None:
        """`last_accessed` for asyncio."""
        raw = await self._arun(_looked(self, "last"))
        return None if raw is None else float(raw)

    def _refuse_to_block(self, name: str) -> None:
        if in_event_loop():
            raise ModelException(
                f"{type(self).__name__}.{name} is read from the store, and that would block the event loop: "
                f"write await obj.async_{name}()"
            )


async def _quietly(plan: Op[Any]) -> None:
    try:
        await plan
    except StaleObjectError:
        return


async def _confirmed(instance: Any) -> int:
    try:
        (count,) = await instance._acting([instance._confirming()])
    except StaleObjectError:
        raise TypeError(
            f"{instance._meta.model_name} {instance.pk!r} is not saved, so it has no reads to confirm: save() it first"
        ) from None
    return int(count)


async def _looked(instance: Any, verb: str) -> Any:
    try:
        (reply,) = await instance._acting([Action(NAME, verb)], reading=True)
    except StaleObjectError:
        return None
    return reply


async def _staged(model: Any, rows: Sequence[Any]) -> None:
    """Note the reads of an answer; what a server refuses is logged once."""
    prefix = model._meta.keyspace(await layout()).prefix
    words = [*model._staging().words, *(f"{prefix}$AT:{model._meta.model_name}:{one}" for one in ("staged", "meta"))]
    keys = list(dict.fromkeys((prefix + row.pk).encode("utf-8", "surrogateescape") for row in rows))
    calls = [
        Call(STAGE, keys[start : start + 1], [*words, *keys[start : start + MOST_ROWS]])
        for start in range(0, len(keys), MOST_ROWS)
    ]
    for start in range(0, len(calls), MOST_STEPS):
        for reply in await ask_all(calls[start : start + MOST_STEPS], errors="return"):
            if isinstance(reply, ReadOnly | OutOfMemory | Denied):
                _log_once(reply)
            elif isinstance(reply, Exception):
                raise reply


def _log_once(error: Exception) -> None:
    if type(error) not in _refusals:
        _refusals.add(type(error))
        _logger.warning("reads are not noted, the server takes no writes: %s", error)
