"""Backends over a RESP wire: how a batch becomes commands, and replies become canonical. The wire does the I/O."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final, TypeVar

from popoto.exceptions import CapabilityError, OutcomeUnknown, ReplyError, TimedOut, Unavailable
from popoto.storage import capabilities, slots
from popoto.storage.capabilities import Info
from popoto.storage.counting import count_round_trip
from popoto.storage.errors import reply_error
from popoto.storage.protocol import AsyncSubscription, AsyncWire, Subscription, Wire
from popoto.storage.scripts import Script
from popoto.storage.steps import Applied, Batch, Call, Command, Raw, Refused, Reply, Step, Txn, needed

T = TypeVar("T")
Flush = tuple[list[tuple[bytes, ...]], list[bytes]]
"""What goes over the wire at once: commands, and the keys they touch."""


def _txn_reply(raw: Raw) -> tuple[int, Any]:
    return int(raw[0]), raw[1]


# A command of so many bytes takes a server a few milliseconds at most.
_MOST_BYTES: Final = 65_536
TXN: Final = Script("popoto.txn", "popoto.storage", "txn.lua", shape=_txn_reply, writes=True)


def check(batch: Batch, info: Info, *, one_slot: bool) -> None:
    """Refuse what must not be sent.

    Raises:
        CapabilityError: naming the step and the capability.
        CrossSlot: naming two keys.
    """
    for step in batch:
        if type(step) is not Txn and (not step.needs or step.needs in info.capabilities):
            continue
        missing = needed(step) - info.capabilities
        if missing:
            raise CapabilityError(
                f"{step!r} needs the capability {', '.join(sorted(missing))!r}, which {info.server} "
                f"{info.version} does not claim; use a backend that does".replace("  ", " ")
            )
    if one_slot:
        slots.check(batch)


def exchange(batch: Batch, known: set[bytes]) -> Generator[Flush, list[Raw], list[Reply]]:
    """Lower a batch to flushes, one unless something has to be sent again, and raise its replies to canonical form.

    The caller sends each flush and throws in what went wrong. `known` holds the digests of the scripts that this
    server has seen; it grows.
    """
    replies = yield from _flush(batch, _Lowering(batch, known))
    # A script that the server has forgotten did not run, so sending it again keeps "at most once".
    forgotten = [at for at, reply in enumerate(replies) if _forgotten(batch[at], reply)]
    if forgotten:
        count_round_trip()
        again = [batch[at] for at in forgotten]
        second = yield from _flush(again, _Lowering(again, set()))
        for at, reply in zip(forgotten, second, strict=True):
            replies[at] = reply
    return replies


def _flush(batch: Batch, lowering: _Lowering) -> Generator[Flush, list[Raw], list[Reply]]:
    flush = lowering.argvs, [key for step in batch for key in step.keys]
    for step in batch:
        if step.writes:
            return lowering.replies((yield flush))
    # What only reads may be asked twice, and its lost reply changed nothing.
    try:
        return lowering.replies((yield flush))
    except TimedOut as error:
        raise Unavailable(str(error)) from error
    except (OutcomeUnknown, Unavailable):
        count_round_trip()
    try:
        return lowering.replies((yield flush))
    except OutcomeUnknown as error:
        raise Unavailable(str(error)) from error


def _forgotten(step: Step, reply: Reply) -> bool:
    return isinstance(reply, ReplyError) and reply.code == "NOSCRIPT" and isinstance(step, Call | Txn)


class _Lowering:
    """The commands of one flush, and which of their replies belong to which step."""

    def __init__(self, batch: Batch, known: set[bytes]) -> None:
        self.batch = batch
        self.argvs: list[tuple[bytes, ...]] = []
        # Of each step the places of its replies, and its own place in the one reply to a run of several.
        self.spans: list[tuple[int, int, int | None]] = []
        # Where other steps stand around a script, a forgotten one could only run after them, out of order: so its
        # first use brings its source. One script alone is sent by digest once known, and again in order if forgotten.
        alike = {step.script.sha if isinstance(step, Call) else b"" for step in batch}
        sent = known if len(alike) == 1 and b"" not in alike else set()
        for run in _runs(batch):
            start = len(self.argvs)
            if len(run) == 1:
                self.argvs += lowered(run[0], sent)
                self.spans.append((start, len(self.argvs), None))
            else:
                self.argvs.append(_merged(run, sent))
                self.spans += [(start, start + 1, place) for place in range(len(run))]

    def replies(self, raw: Sequence[Raw]) -> list[Reply]:
        return [
            _reply(step, raw[start:end] if place is None else [_own(raw[start], place)])
            for step, (start, end, place) in zip(self.batch, self.spans, strict=True)
        ]


def _runs(batch: Batch) -> Iterator[list[Any]]:
    """The steps in order, those together that one run of their script serves."""
    run: list[Any] = []
    script, shared, size = None, None, 0
    for step in batch:
        if not isinstance(step, Call) or step.script.rows == 1 or not step.shared:
            if run:
                yield run
            run, script = [step], None
            continue
        length = len(b"".join(step.args))
        size += length
        if step.script is script and step.shared is shared and len(run) < script.rows and size <= _MOST_BYTES:
            run.append(step)
            continue
        if run:
            yield run
        run, script, shared, size = [step], step.script, step.shared, length
    if run:
        yield run


def _merged(run: list[Call[Any]], sent: set[bytes]) -> tuple[bytes, ...]:
    words = [*_head(run[0].script, sent), b"%d" % sum(len(call.keys) for call in run)]
    for call in run:
        words += call.keys
    words.append(b"%d" % len(run))
    for call in run:
        words += call.args[1:]
    return tuple(words)


def _own(raw: Raw, place: int) -> Raw:
    """One call's reply from that to a run of several."""
    if isinstance(raw, ReplyError):
        return raw
    fine, reply = raw[place]
    return reply if fine else reply_error(reply.decode("utf-8", "replace"))


def lowered(step: Step, sent: set[bytes]) -> list[tuple[bytes, ...]]:
    """The commands of a step.

    `sent` holds the digests of scripts whose source has gone before: the first use of another brings its source.
    """
    if isinstance(step, Command):
        if step.argv[:2] == (b"SCRIPT", b"FLUSH"):
            sent.clear()
        return [step.argv]
    if isinstance(step, Txn):
        if not step.guards:
            return [(b"MULTI",), *(command.argv for command in step.commands), (b"EXEC",)]
        step = _guarded(step)
    return [(*_head(step.script, sent), b"%d" % len(step.keys), *step.keys, *step.args)]


def _head(script: Script[Any], sent: set[bytes]) -> tuple[bytes, bytes]:
    sha = script.sha
    if sha in sent:
        return b"EVALSHA", sha
    sent.add(sha)
    return b"EVAL", script.text.encode()


def _guarded(txn: Txn) -> Call[tuple[int, Any]]:
    words: list[bytes | int] = [len(txn.guards)]
    for guard in txn.guards:
        words += (guard.kind.encode(), guard.key, guard.field, guard.value)
    words.append(len(txn.commands))
    for command in txn.commands:
        words += (len(command.argv), *command.argv)
    return Call(TXN, txn.keys, words)


def _reply(step: Step, raw: Sequence[Raw]) -> Reply:
    last = raw[-1]
    if isinstance(last, ReplyError):
        return last
    if not isinstance(step, Txn):
        return step.shape(last)
    if not step.guards:
        return Applied(_shaped(step, last))
    applied, rest = _txn_reply(last)
    return Applied(_shaped(step, rest)) if applied else Refused(int(rest))


def _shaped(txn: Txn, raw: Sequence[Raw]) -> list[Reply]:
    return [
        reply if isinstance(reply, ReplyError) else command.shape(reply)
        for command, reply in zip(txn.commands, raw, strict=True)
    ]


class _Described:
    """What both kinds of backend know of themselves."""

    def __init__(self, claims: frozenset[str], server: str, one_slot: bool) -> None:
        self._claims = claims
        self._server = server
        self._one_slot = one_slot
        self._info: Info | None = None
        self._known: set[bytes] = set()
        self._closed = False

    def _learn(self, replies: list[Raw]) -> Info:
        info = capabilities.found(replies, server=self._server)
        self._info = Info(info.server, info.version, info.capabilities | self._claims, info.cluster, info.notes)
        return self._info

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("this backend is closed: connect again")

    def _ready(self, step: Step, info: Info) -> tuple[bytes, ...] | None:
        """The command of a step that may go by itself; None where more has to be looked at."""
        if self._one_slot or info.cluster or self._closed or (step.needs and step.needs not in info.capabilities):
            return None
        if type(step) is Command:
            return step.argv if step.argv[0] != b"SCRIPT" else None
        if type(step) is Call and step.script.sha in self._known:
            return (b"EVALSHA", step.script.sha, b"%d" % len(step.keys), *step.keys, *step.args)
        return None

    def _begin(self, batch: Batch, info: Info) -> Generator[Flush, list[Raw], list[Reply]]:
        self._check_open()
        check(batch, info, one_slot=self._one_slot or info.cluster)
        return exchange(batch, self._known)


class RespBackend(_Described):
    """A `Backend` over a blocking RESP wire."""

    def __init__(
        self, wire: Wire, *, claims: frozenset[str] = frozenset(), server: str = "", one_slot: bool = False
    ) -> None:
        super().__init__(claims, server, one_slot)
        self.wire = wire

    @property
    def info(self) -> Info:
        return self._info or self._learn(self.wire.send(capabilities.probes()))

    def execute(self, batch: Batch, /) -> list[Reply]:
        if not batch:
            return []
        info = self.info
        if len(batch) == 1 and (argv := self._ready(batch[0], info)) is not None:
            return self._alone(batch, argv, info)
        return self._whole(batch, info)

    def _alone(self, batch: Batch, argv: tuple[bytes, ...], info: Info) -> list[Reply]:
        """Run one step by the short way; what does not go smoothly goes on as in any batch."""
        step = batch[0]
        try:
            raw = self.wire.send([argv], step.keys)
        except (OutcomeUnknown, Unavailable) as error:
            return self._whole(batch, info, error)
        reply = _reply(step, raw)
        return self._whole(batch, info, raw) if _forgotten(step, reply) else [reply]

    def _whole(self, batch: Batch, info: Info, outcome: Exception | list[Raw] | None = None) -> list[Reply]:
        """Run a batch; what came of its first flush may be known."""
        steps = self._begin(batch, info)
        try:
            flush = next(steps)
            while True:
                try:
                    raw = self.wire.send(*flush) if outcome is None else outcome
                    if isinstance(raw, Exception):
                        raise raw
                except (OutcomeUnknown, Unavailable) as error:
                    flush = steps.throw(error)
                else:
                    flush = steps.send(raw)
                outcome = None
        except StopIteration as stop:
            return list(stop.value)

    def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes] = (), /) -> Subscription:
        self._check_open()
        _check_pubsub(self.info)
        return self.wire.subscribe(channels, patterns)

    def close(self) -> None:
        self._closed = True
        self.wire.close()


class AsyncRespBackend(_Described):
    """An `AsyncBackend` over an asyncio RESP wire."""

    def __init__(
        self, wire: AsyncWire, *, claims: frozenset[str] = frozenset(), server: str = "", one_slot: bool = False
    ) -> None:
        super().__init__(claims, server, one_slot)
        self.wire = wire

    async def describe(self) -> Info:
        return self._info or self._learn(await self.wire.send(capabilities.probes()))

    async def execute(self, batch: Batch, /) -> list[Reply]:
        if not batch:
            return []
        steps = self._begin(batch, await self.describe())
        try:
            flush = next(steps)
            while True:
                try:
                    raw = await self.wire.send(*flush)
                except (OutcomeUnknown, Unavailable) as error:
                    flush = steps.throw(error)
                else:
                    flush = steps.send(raw)
        except StopIteration as stop:
            return list(stop.value)

    async def subscribe(self, channels: Sequence[bytes], patterns: Sequence[bytes] = (), /) -> AsyncSubscription:
        self._check_open()
        _check_pubsub(await self.describe())
        return await self.wire.subscribe(channels, patterns)

    async def close(self) -> None:
        self._closed = True
        await self.wire.close()


def _check_pubsub(info: Info) -> None:
    if "pubsub" not in info.capabilities:
        raise CapabilityError(f"subscribing needs the capability 'pubsub', which {info.server} does not claim")
