"""Proposals: memories that were pushed into an agent's context and wait for an outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from popoto import clock
from popoto.fields.recall_proposal.batches import MOST_AT_ONCE, batches
from popoto.fields.recall_proposal.companion import DEFAULT_PARTITION, partitions_base, pending_base
from popoto.storage import Call, Op, Script, ask, layout
from popoto.storage.commands.sorted_sets import zrange

_PACKAGE: Final = "popoto.fields.recall_proposal"
PROPOSE: Final = Script("popoto.propose", _PACKAGE, "propose.lua", shape=int, writes=True)
EXPIRE: Final = Script("popoto.expire_proposals", _PACKAGE, "expire.lua", shape=list[Any], writes=True)
RESOLVE: Final = Script("popoto.resolve_proposal", _PACKAGE, "resolve.lua", shape=int, writes=True)
# A proposal takes this many stale ones with it.
_SWEPT: Final = 16
_PAGE: Final = 1_000


class RecallProposal:
    """The pending set of proactively surfaced memories: `$RP:Model:pending:partition`, row keys by when.

    A proposal is taken out when its outcome is reported, when its row is deleted or expires, and when it grows stale:
    each call of `create_batch` takes some out that are older than `ttl_seconds`. It follows its row's renames.

    Attributes:
        ttl_seconds: the age at which a proposal is stale, 3600 seconds.
    """

    ttl_seconds: ClassVar[float] = 3600.0

    @classmethod
    def create_batch(
        cls, instances: Iterable[Any], reason: str = "proactive", partition: str | None = None, pipeline: Any = None
    ) -> Any:
        """Note that instances were proposed now, in one round trip for all; rows that are not stored are left out.

        Args:
            instances: saved instances, of one model or several.
            reason: why; it is not stored.
            partition: the pending set, "default" for None.
            pipeline: a pipeline in which it waits.

        Returns:
            None, or the pipeline when one was given.
        """
        for model, plan in batches(cls._proposing(instances, partition)):
            model._run(plan, pipeline)
        return pipeline

    @classmethod
    async def async_create_batch(
        cls, instances: Iterable[Any], reason: str = "proactive", partition: str | None = None, pipeline: Any = None
    ) -> Any:
        """`create_batch` for asyncio."""
        for model, plan in batches(cls._proposing(instances, partition)):
            await model._arun(plan, pipeline)
        return pipeline

    @classmethod
    def resolve(cls, instance: Any, outcome: str, partition: str | None = None, pipeline: Any = None) -> Any:
        """Take an instance out of the pending set that it is in.

        Args:
            instance: the instance.
            outcome: how it ended; it is not stored.
            partition: the pending set; None for wherever it was proposed.
            pipeline: a pipeline in which it waits.

        Returns:
            From how many pending sets it was taken, 0 when it was in none; or the pipeline when one was given.
        """
        return instance._run(_resolved(instance, partition), pipeline)

    @classmethod
    async def async_resolve(
        cls, instance: Any, outcome: str, partition: str | None = None, pipeline: Any = None
    ) -> Any:
        """`resolve` for asyncio."""
        return await instance._arun(_resolved(instance, partition), pipeline)

    @classmethod
    def expire_stale(
        cls, model_class: Any, partition: str | None = None, ttl: float | None = None, pipeline: Any = None
    ) -> Any:
        """Take out the proposals that are at least so old, each bounded step whole.

        Args:
            model_class: the model.
            partition: the pending set, "default" for None.
            ttl: the age in seconds; `ttl_seconds` for None.
            pipeline: a pipeline in which one step waits, of 1000 proposals at most.

        Returns:
            The keys that were taken out, oldest first; or the pipeline when one was given.
        """
        return model_class._run(cls._expired(model_class, partition, ttl, pipeline is not None), pipeline)

    @classmethod
    async def async_expire_stale(
        cls, model_class: Any, partition: str | None = None, ttl: float | None = None, pipeline: Any = None
    ) -> Any:
        """`expire_stale` for asyncio."""
        return await model_class._arun(cls._expired(model_class, partition, ttl, pipeline is not None), pipeline)

    @classmethod
    def get_pending(cls, model_class: Any, partition: str | None = None) -> list[tuple[str, float]]:
        """All pending proposals, oldest first, as row key and Unix seconds; read in bounded steps."""
        return model_class._run(_pending(model_class, partition))  # type: ignore[no-any-return]

    @classmethod
    async def async_get_pending(cls, model_class: Any, partition: str | None = None) -> list[tuple[str, float]]:
        """`get_pending` for asyncio."""
        return await model_class._arun(_pending(model_class, partition))  # type: ignore[no-any-return]

    @staticmethod
    def resolving(instance: Any) -> Op[int]:
        """The plan of `resolve`, wherever the instance was proposed."""
        return _resolved(instance, None)

    @classmethod
    def _proposing(cls, instances: Iterable[Any], partition: str | None) -> Iterator[tuple[Any, Callable[[], Op[int]]]]:
        models: dict[Any, list[str]] = {}
        for instance in instances:
            models.setdefault(type(instance), []).append(instance.pk)
        for model, keys in models.items():
            for start in range(0, len(keys), MOST_AT_ONCE):
                some = keys[start : start + MOST_AT_ONCE]
                yield model, partial(_proposed, model, some, partition or DEFAULT_PARTITION, cls.ttl_seconds)

    @classmethod
    async def _expired(cls, model: Any, partition: str | None, ttl: float | None, one_step: bool) -> list[str]:
        prefix = model._meta.keyspace(await layout()).prefix
        name = model._meta.model_name
        place = partition or DEFAULT_PARTITION
        cutoff = clock.now() - (cls.ttl_seconds if ttl is None else ttl)
        words = [cutoff, _PAGE, place, prefix + partitions_base(name)]
        found: list[str] = []
        while True:
            some = await ask(Call(EXPIRE, [f"{prefix}{pending_base(name)}:{place}"], words))
            found += [key_text(member, prefix) for member in some]
            if one_step or len(some) < _PAGE:
                return found


async def _proposed(model: Any, keys: Sequence[str], partition: str, ttl: float) -> int:
    prefix = model._meta.keyspace(await layout()).prefix
    name, now = model._meta.model_name, clock.now()
    members = [key_bytes(prefix + key) for key in keys]
    words = [now, now - ttl, partition, prefix + partitions_base(name), _SWEPT, *members]
    return await ask(Call(PROPOSE, [f"{prefix}{pending_base(name)}:{partition}"], words))


async def _resolved(instance: Any, partition: str | None) -> int:
    prefix = instance._meta.keyspace(await layout()).prefix
    name, key = instance._meta.model_name, key_bytes(prefix + instance.pk)
    own = f"{prefix}{partitions_base(name)}:".encode() + key
    return await ask(Call(RESOLVE, [own], [prefix + pending_base(name), key, partition or ""]))


async def _pending(model: Any, partition: str | None) -> list[tuple[str, float]]:
    prefix = model._meta.keyspace(await layout()).prefix
    key = f"{prefix}{pending_base(model._meta.model_name)}:{partition or DEFAULT_PARTITION}"
    found: dict[str, float] = {}
    start = 0
    while True:
        some = await ask(zrange(key, start, start + _PAGE - 1))
        found |= {key_text(member, prefix): at for member, at in some}
        start += _PAGE
        if len(some) < _PAGE:
            return list(found.items())


def key_bytes(key: str) -> bytes:
    """A row's key on the wire; keys that are no UTF-8 keep their bytes."""
    return key.encode("utf-8", "surrogateescape")


def key_text(member: bytes, prefix: str) -> str:
    """A row's key, apart from the store's own prefix."""
    return member.decode("utf-8", "surrogateescape")[len(prefix) :]
