"""Mutants with a wrong idea of keys, strings, hashes, sets, lists, bits or streams."""

from __future__ import annotations

from collections.abc import Sequence

from mutants.mutant import Argv, Executing, Mutant, word
from popoto.exceptions import ReplyError
from popoto.storage import Batch, Command, Reply, Step

_TAKING = {b"HDEL", b"SREM", b"ZREM", b"LPOP", b"RPOP", b"SPOP", b"LREM", b"ZPOPMIN", b"LTRIM"}


class KeepsEmptyContainers(Mutant):
    """Says of a container that lost its last item that it is still there."""

    killed_by = "test_hashes"

    def __init__(self) -> None:
        self.emptied: set[bytes] = set()

    def reply(self, step: Step, reply: Reply) -> Reply:
        if not isinstance(step, Command) or isinstance(reply, ReplyError) or not step.keys:
            return reply
        if step.argv[0] in _TAKING and reply:
            self.emptied.add(step.keys[0])
        elif step.argv[0] == b"DEL":
            self.emptied -= set(step.keys)
        return True if step.argv[0] == b"EXISTS" and step.keys[0] in self.emptied else reply


class CountsAllDeleted(Mutant):
    """Counts missing keys among the deleted ones."""

    killed_by = "test_keys"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return len(step.argv) - 1 if isinstance(step, Command) and step.argv[0] == b"DEL" else reply


class DeletesOneKey(Mutant):
    """Deletes the first of several keys only."""

    killed_by = "test_keys"

    def argv(self, argv: Argv) -> Argv:
        return argv[:2] if argv[0] == b"DEL" else argv


class RenamesOverTarget(Mutant):
    """Renames a key over a target that was to be spared."""

    killed_by = "test_keys"

    def argv(self, argv: Argv) -> Argv:
        return (b"RENAME", *argv[1:]) if argv[0] == b"RENAMENX" else argv


class SortedSetsAreSets(Mutant):
    """Gives a sorted set the type of a set."""

    killed_by = "test_keys"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return b"set" if word(step) == b"TYPE" and reply == b"zset" else reply


class CountsCharacters(Mutant):
    """Counts a string's characters where its bytes were asked for."""

    killed_by = "test_strings"

    def execute(self, batch: Batch) -> Executing:
        return (yield [self._asked(step) for step in batch])  # type: ignore[no-any-return]

    def _asked(self, step: Step) -> Step:
        if not isinstance(step, Command) or step.argv[0] != b"STRLEN":
            return step
        return Command(
            b"GET", step.argv[1], keys=step.keys, shape=lambda raw: len((raw or b"").decode("utf-8", "replace"))
        )


class ReplacesSetField(Mutant):
    """Sets a field that was to be set only when missing."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        return (b"HSET", *argv[1:]) if argv[0] == b"HSETNX" else argv


class CountsAllFields(Mutant):
    """Counts changed fields among the new ones."""

    killed_by = "test_hashes"

    def reply(self, step: Step, reply: Reply) -> Reply:
        counted = isinstance(step, Command) and step.argv[0] == b"HSET" and isinstance(reply, int)
        return (len(step.argv) - 2) // 2 if counted else reply  # type: ignore[union-attr]


class WholeFloats(Mutant):
    """Adds whole numbers where fractions were to be added."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:3], str(int(float(argv[3]))).encode()) if argv[0] == b"HINCRBYFLOAT" else argv


class PopsWithoutRemoving(Mutant):
    """Leaves in the set what it pops."""

    killed_by = "test_sets"

    def argv(self, argv: Argv) -> Argv:
        return (b"SRANDMEMBER", *argv[1:]) if argv[0] == b"SPOP" else argv


class DrawsRepeatedly(Mutant):
    """Draws one member of a set over and over."""

    killed_by = "test_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return reply[:1] * len(reply) if word(step) == b"SRANDMEMBER" and isinstance(reply, list) else reply


class SubtractsTheFirst(Mutant):
    """Subtracts the first set from the second."""

    killed_by = "test_sets"

    def argv(self, argv: Argv) -> Argv:
        return (b"SDIFF", argv[2], argv[1], *argv[3:]) if argv[0] == b"SDIFF" and len(argv) > 2 else argv


class IntersectsTwo(Mutant):
    """Intersects the first two of several sets."""

    killed_by = "test_sets"

    def argv(self, argv: Argv) -> Argv:
        return argv[:3] if argv[0] == b"SINTER" else argv


class PushesBackwards(Mutant):
    """Puts several values in front of a list with the first one first."""

    killed_by = "test_lists"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:2], *argv[:1:-1]) if argv[0] == b"LPUSH" else argv


class RemovesFromTheEnd(Mutant):
    """Removes equal items of a list from its end."""

    killed_by = "test_lists"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:2], str(-int(argv[2])).encode(), argv[3]) if argv[0] == b"LREM" else argv


class TellsNewBit(Mutant):
    """Answers a bit's new value where its old one was asked for."""

    killed_by = "test_bitmaps"

    def reply(self, step: Step, reply: Reply) -> Reply:
        set_ = isinstance(step, Command) and step.argv[0] == b"SETBIT" and isinstance(reply, int)
        return int(step.argv[3]) if set_ else reply  # type: ignore[union-attr]


class TakesBusyEntries(Mutant):
    """Takes pending entries over however short they have been idle."""

    killed_by = "test_streams"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:4], b"0", *argv[5:]) if argv[0] == b"XCLAIM" else argv


class ForgetsAcknowledgements(Mutant):
    """Answers that entries were acknowledged, and keeps them pending."""

    killed_by = "test_streams"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield [step for step in batch if word(step) != b"XACK"]
        return self._filled(batch, replies)

    def _filled(self, batch: Batch, replies: Sequence[Reply]) -> list[Reply]:
        left = iter(replies)
        return [
            len(step.argv) - 3 if isinstance(step, Command) and step.argv[0] == b"XACK" else next(left)
            for step in batch
        ]


class IgnoresStreamCount(Mutant):
    """Gives all entries of a stream where some were asked for."""

    killed_by = "test_streams"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"XRANGE" or b"COUNT" not in argv[4:]:
            return argv
        return argv[:4]


class DeletesOneField(Mutant):
    """Removes the first of several fields only."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        return argv[:3] if argv[0] == b"HDEL" else argv


class DropsEmptyFields(Mutant):
    """Leaves fields out of a hash whose value is empty."""

    killed_by = "test_hashes"

    def reply(self, step: Step, reply: Reply) -> Reply:
        hash_ = word(step) == b"HGETALL" and isinstance(reply, dict)
        return {field: value for field, value in reply.items() if value} if hash_ else reply


class CountsAllAdded(Mutant):
    """Counts known members among the new ones of a set."""

    killed_by = "test_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        counted = isinstance(step, Command) and step.argv[0] == b"SADD" and isinstance(reply, int)
        return len(step.argv) - 2 if counted else reply  # type: ignore[union-attr]


class PopsTheOtherEnd(Mutant):
    """Takes the last item of a list where the first was asked for."""

    killed_by = "test_lists"

    def argv(self, argv: Argv) -> Argv:
        return (b"RPOP", *argv[1:]) if argv[0] == b"LPOP" else argv


class AcceptsMissingPlaces(Mutant):
    """Answers that an item was replaced where there is none."""

    killed_by = "test_lists"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return True if word(step) == b"LSET" and isinstance(reply, ReplyError) else reply


class CountsBytes(Mutant):
    """Counts the bytes of a string that are not zero where its bits were asked for."""

    killed_by = "test_bitmaps"

    def execute(self, batch: Batch) -> Executing:
        return (yield [self._asked(step) for step in batch])  # type: ignore[no-any-return]

    def _asked(self, step: Step) -> Step:
        if not isinstance(step, Command) or step.argv[0] != b"BITCOUNT":
            return step
        return Command(b"GET", step.argv[1], keys=step.keys, shape=lambda raw: sum(map(bool, raw or b"")))


class CreatesGroupsAgain(Mutant):
    """Answers that a consumer group was made which was there."""

    killed_by = "test_streams"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return True if word(step) == b"XGROUP" and isinstance(reply, ReplyError) else reply


class ReadsStreamsBackwards(Mutant):
    """Gives the entries of a stream from the newest."""

    killed_by = "test_streams"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return reply[::-1] if word(step) == b"XRANGE" and isinstance(reply, list) else reply


class NeverTrims(Mutant):
    """Lets a stream grow for ever."""

    killed_by = "test_streams"

    def argv(self, argv: Argv) -> Argv:
        return argv[:2] + argv[5:] if argv[0] == b"XADD" and argv[2] == b"MAXLEN" else argv
