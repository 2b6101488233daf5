"""Consumers that work through a stream as members of a group: each entry is handled at least once."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from popoto import clock
from popoto.exceptions import ReplyError
from popoto.storage import Connection, Txn, ask, ask_all, connection
from popoto.storage.commands.streams import (
    Entries,
    xack,
    xadd,
    xclaim,
    xgroup_create,
    xpending,
    xrange,
    xreadgroup,
)
from popoto.streams.dead_letters import PREFIX, Failures, dead_letter

logger = logging.getLogger("popoto.streams")
Handler = Callable[[list[tuple[str, dict[str, str]]]], Any]
# An idle consumer asks four times a second; a busy one never waits.
FIRST_WAIT_SECONDS: Final = 0.01
LONGEST_WAIT_SECONDS: Final = 0.25
ERROR_WAIT_SECONDS: Final = 1.0


class StreamConsumer:
    """A member of a consumer group, which hands a stream's entries to a handler and acknowledges what it took.

    An entry whose handler failed stays pending; when it has been idle for `claim_timeout_ms`, any consumer of the
    group takes it over and tries again, alone, so that a bad entry holds up no other. After `max_retries` such tries
    it goes to the stream `dead:<stream_key>`.

    Args:
        stream_key: the stream, as `stream:mutations`; a store's namespace is added. In a cluster the key begins with
            the model's hash tag, as `{User}stream:mutations`.
        group_name: the group; it is made when it is missing, and begins with the stream's first entry.
        consumer_name: this consumer's name, of which a group has each once.
        handler: takes a list of `(id, {field: text})`; a function or a coroutine function. A plain function is called
            in a thread. Bytes that are no UTF-8 come as surrogates: `text.encode("utf-8", "surrogateescape")`.
        batch_size: how many entries are taken at once.
        block_ms: how long to wait for new entries; it waits here and not on the server, so no timeout cuts it short.
        max_retries: how often an entry is tried again.
        claim_timeout_ms: how long an entry stays with a consumer that does not acknowledge it.
        dead_letter_max_length: about how many dead letters are kept, None for all.
        connection_name: the connection that it uses, None for the default one.
    """

    _monotonic: ClassVar[Any] = staticmethod(time.monotonic)
    _sleep: ClassVar[Any] = staticmethod(asyncio.sleep)

    def __init__(
        self,
        stream_key: str,
        group_name: str,
        consumer_name: str,
        handler: Handler,
        batch_size: int = 50,
        block_ms: int = 5000,
        max_retries: int = 3,
        claim_timeout_ms: int = 180_000,
        dead_letter_max_length: int | None = None,
        *,
        connection_name: str | None = None,
    ) -> None:
        self.stream_key = stream_key
        self.group_name = group_name
        self.consumer_name = consumer_name
        self.handler = handler
        self.batch_size = batch_size
        self.block_ms = block_ms
        self.max_retries = max_retries
        self.claim_timeout_ms = claim_timeout_ms
        self.dead_letter_max_length = dead_letter_max_length
        self.connection_name = connection_name
        self._failures = Failures()
        self._stopping = False
        self._grouped: Connection | None = None

    @property
    def dead_letter_key(self) -> str:
        """The stream of the entries that were given up."""
        tag, brace, rest = self.stream_key.partition("}") if self.stream_key.startswith("{") else ("", "", "")
        return f"{tag}{brace}{PREFIX}:{rest or self.stream_key}"

    # -- loops

    async def run(self) -> None:
        """Work through the stream until `stop`; an error is logged, and after a second it goes on."""
        try:
            while not self._stopping:
                try:
                    await self.process_batch()
                except Exception:
                    logger.exception("the consumer %s of %s failed", self.consumer_name, self.stream_key)
                    await self._wait(ERROR_WAIT_SECONDS)
        finally:
            self._stopping = False

    def run_sync(self) -> None:
        """`run` for callers without an event loop."""
        _check_no_loop("run_sync", "run")
        asyncio.run(self.run())

    def stop(self) -> None:
        """End the loop that runs, or the next one, after the batch at hand; from any thread."""
        self._stopping = True

    # -- one batch

    async def process_batch(self) -> int:
        """Try abandoned entries again, then wait up to `block_ms` for new ones and hand them to the handler.

        Returns:
            How many entries were handled, or given up.

        Raises:
            Exception: what the handler raised; the entries stay pending and are tried again.
        """
        here = connection(self.connection_name)
        await self._ensure_group(here)
        settled = await self._retry(here)
        entries = await self._new(here, wait=not settled)
        if entries:
            await self._handle(here, entries)
        return settled + len(entries)

    def process_batch_sync(self) -> int:
        """`process_batch` for callers without an event loop."""
        _check_no_loop("process_batch_sync", "process_batch")
        return asyncio.run(self.process_batch())

    # -- steps

    def _key(self, here: Connection, key: str) -> str:
        return f"{here.layout.namespace}:{key}" if here.layout.namespace else key

    async def _ensure_group(self, here: Connection) -> bool:
        """Make the group where it is missing, and return whether it was."""
        if self._grouped is here:
            return False
        missing = True
        try:
            await here.arun(ask(xgroup_create(self._key(here, self.stream_key), self.group_name)))
        except ReplyError as error:
            if error.code != "BUSYGROUP":
                raise
            missing = False
        self._grouped = here
        return missing

    async def _new(self, here: Connection, *, wait: bool) -> Entries:
        stream = self._key(here, self.stream_key)
        deadline = self._monotonic() + (self.block_ms / 1000 if wait else 0)
        pause = FIRST_WAIT_SECONDS
        while True:
            command = xreadgroup(stream, self.group_name, self.consumer_name, count=self.batch_size)
            try:
                found = await here.arun(ask(command))
            except ReplyError:
                self._grouped = None
                # A stream that was deleted is made anew with its group; anything else is an error.
                if not await self._ensure_group(here):
                    raise
                found = {}
            left = deadline - self._monotonic()
            if found or left <= 0 or self._stopping:
                return next(iter(found.values()), [])
            await self._sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_WAIT_SECONDS)

    async def _retry(self, here: Connection) -> int:
        """Take over what was abandoned: give up what was tried too often, hand the rest to the handler one by one."""
        stream = self._key(here, self.stream_key)
        idle = self.claim_timeout_ms
        try:
            waiting = await here.arun(ask(xpending(stream, self.group_name, idle, count=self.batch_size)))
        except ReplyError as error:
            if error.code != "NOGROUP":
                raise
            return 0
        if not waiting:
            return 0
        deliveries = {entry: times for entry, _, _, times in waiting}
        claimed = await here.arun(ask(xclaim(stream, self.group_name, self.consumer_name, idle, *deliveries)))
        await self._forget_trimmed(here, deliveries.keys() - {entry for entry, _ in claimed})
        failure: Exception | None = None
        settled = 0
        for entry, fields in claimed:
            try:
                if deliveries[entry] > self.max_retries:
                    await self._give_up(here, entry, fields, deliveries[entry])
                else:
                    await self._handle(here, [(entry, fields)])
                settled += 1
            except Exception as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return settled

    async def _forget_trimmed(self, here: Connection, unclaimed: set[bytes]) -> None:
        """Acknowledge entries that the stream no longer has, which Redis 6.2 keeps pending for ever."""
        if not unclaimed:
            return
        stream = self._key(here, self.stream_key)
        listed = list(unclaimed)
        found = await here.arun(ask_all([xrange(stream, entry, entry, count=1) for entry in listed]))
        gone = [entry for entry, there in zip(listed, found, strict=True) if not there]
        if gone:
            await here.arun(ask(xack(stream, self.group_name, *gone)))

    async def _handle(self, here: Connection, entries: Entries) -> None:
        ids = [entry for entry, _ in entries]
        try:
            await self._call([(_text(entry), _texts(fields)) for entry, fields in entries])
        except Exception as error:
            self._failures.note(ids, error)
            raise
        await here.arun(ask(xack(self._key(here, self.stream_key), self.group_name, *ids)))
        self._failures.forget(ids)

    async def _call(self, entries: list[tuple[str, dict[str, str]]]) -> None:
        if inspect.iscoroutinefunction(self.handler):
            await self.handler(entries)
            return
        result = await asyncio.to_thread(self.handler, entries)
        if inspect.isawaitable(result):
            await result

    async def _give_up(self, here: Connection, entry: bytes, fields: dict[bytes, bytes], deliveries: int) -> None:
        error = self._failures.of(entry)
        letter = dead_letter(self.stream_key, entry, fields, deliveries=deliveries, error=error, now=clock.now())
        dead = xadd(self._key(here, self.dead_letter_key), letter, most=self.dead_letter_max_length)
        done = xack(self._key(here, self.stream_key), self.group_name, entry)
        for reply in _replies(await here.arun(ask(Txn([dead, done])))):
            if isinstance(reply, ReplyError):
                raise reply
        self._failures.forget([entry])
        logger.error("%s of %s is given up after %d deliveries: %s", _text(entry), self.stream_key, deliveries, error)

    async def _wait(self, seconds: float) -> None:
        deadline = self._monotonic() + seconds
        while not self._stopping and (left := deadline - self._monotonic()) > 0:
            await self._sleep(min(left, LONGEST_WAIT_SECONDS))


def _replies(answer: Any) -> Sequence[Any]:
    return answer if isinstance(answer, list) else ()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _texts(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in fields.items()}


def _check_no_loop(verb: str, twin: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(f"{verb}() would block the running event loop: await {twin}()")
