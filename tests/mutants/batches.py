"""Mutants that lose, repeat, reorder or split the steps of a batch."""

from __future__ import annotations

from mutants.mutant import Executing, Mutant, Pause, word
from popoto.exceptions import ReplyError
from popoto.storage import Batch, Command, Reply

_COUNTING = {b"HSET", b"SADD", b"ZADD", b"SET", b"DEL", b"RPUSH", b"INCRBY", b"HINCRBY"}


class LosesLastCommand(Mutant):
    """Answers for the last command of a batch without sending it, if it writes."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        last = batch[-1] if len(batch) > 1 else None
        if not isinstance(last, Command) or last.argv[0] not in _COUNTING:
            return (yield batch)  # type: ignore[no-any-return]
        return [*(yield batch[:-1]), last.shape(1)]


class ReversesReplies(Mutant):
    """Answers a batch in reverse order."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield batch
        return replies[::-1]


class SendsFirstTwice(Mutant):
    """Sends the first command of a batch twice, if it adds."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        if not batch or word(batch[0]) not in {b"INCRBY", b"HINCRBY", b"RPUSH", b"LPUSH", b"APPEND"}:
            return (yield batch)  # type: ignore[no-any-return]
        replies: list[Reply] = yield [batch[0], *batch]
        return [replies[0], *replies[2:]]


class ReordersWrites(Mutant):
    """Sends a batch's reading commands before its writing ones."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        order = sorted(range(len(batch)), key=lambda at: batch[at].writes)
        replies: list[Reply] = yield [batch[at] for at in order]
        placed = dict(zip(order, replies, strict=True))
        return [placed[at] for at in range(len(batch))]


class StopsAtFirstError(Mutant):
    """Leaves the steps after one that failed undone."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = []
        for step in batch:
            if replies and isinstance(replies[-1], ReplyError):
                replies.append(replies[-1])
            else:
                replies += yield [step]
        return replies


class RaisesErrors(Mutant):
    """Raises the first error of a batch, and so loses the replies beside it."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield batch
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise reply
        return replies


class AnswersTooLittle(Mutant):
    """Leaves failed steps out of the replies."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield batch
        return [reply for reply in replies if not isinstance(reply, ReplyError)]


class RefusesEmptyBatches(Mutant):
    """Fails for the batch without steps."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        if not batch:
            raise IndexError("no step")
        return (yield batch)  # type: ignore[no-any-return]


class CutsLongBatches(Mutant):
    """Answers a batch of more than a hundred steps with those of the first hundred, repeated."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        if len(batch) <= 100:
            return (yield batch)  # type: ignore[no-any-return]
        replies: list[Reply] = yield batch[:100]
        return [replies[at % 100] for at in range(len(batch))]


class TornIncrements(Mutant):
    """Adds to a hash's number by reading it and writing the sum, while others do the same."""

    killed_by = "test_concurrency"

    def execute(self, batch: Batch) -> Executing:
        step = batch[0] if len(batch) == 1 else None
        if not isinstance(step, Command) or step.argv[0] != b"HINCRBY":
            return (yield batch)  # type: ignore[no-any-return]
        key, field, amount = step.argv[1:4]
        found: list[Reply] = yield [Command(b"HGET", key, field, keys=(key,), shape=lambda raw: int(raw or 0))]
        if isinstance(found[0], ReplyError):
            return found
        yield Pause()
        total = found[0] + int(amount)
        yield [Command(b"HSET", key, field, total, keys=(key,), shape=int, writes=True)]
        return [total]


class CrossesReplies(Mutant):
    """Hands the replies of one caller to another that asks at the same time."""

    killed_by = "test_concurrency"

    def __init__(self) -> None:
        self.inside = 0
        self.left: dict[tuple[object, ...], list[Reply]] = {}

    def execute(self, batch: Batch) -> Executing:
        self.inside += 1
        try:
            replies: list[Reply] = yield batch
            yield Pause(0.001)
            if self.inside > 1:
                alike = tuple(word(step) for step in batch)
                replies, self.left[alike] = self.left.get(alike, replies), replies
            return replies
        finally:
            self.inside -= 1


class AnswersTuples(Mutant):
    """Answers a batch with a tuple."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield batch
        return tuple(replies)  # type: ignore[return-value]


class ReadsOncePerBatch(Mutant):
    """Answers a reading command that stands twice in a batch with its first reply."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield batch
        first: dict[tuple[bytes, ...], Reply] = {}
        return [
            first.setdefault(step.argv, reply) if isinstance(step, Command) and not step.writes else reply
            for step, reply in zip(batch, replies, strict=True)
        ]


class MergesEqualWrites(Mutant):
    """Sends a writing command that stands twice in a batch once."""

    killed_by = "test_batches"

    def execute(self, batch: Batch) -> Executing:
        seen: dict[tuple[bytes, ...], int] = {}
        origin = [
            seen.setdefault(step.argv, at) if isinstance(step, Command) and step.writes else at
            for at, step in enumerate(batch)
        ]
        kept = sorted(set(origin))
        replies: list[Reply] = yield [batch[at] for at in kept]
        placed = dict(zip(kept, replies, strict=True))
        return [placed[at] for at in origin]


class RemembersReads(Mutant):
    """Answers a reading command as it did before, unless it wrote something itself since."""

    killed_by = "test_drivers"

    def __init__(self) -> None:
        self.known: dict[tuple[bytes, ...], Reply] = {}

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield batch
        if any(step.writes for step in batch):
            self.known.clear()
            return replies
        return [
            self.known.setdefault(step.argv, reply) if isinstance(step, Command) and step.keys else reply
            for step, reply in zip(batch, replies, strict=True)
        ]
