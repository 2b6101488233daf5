"""Mutants that take ranges wrongly."""

from __future__ import annotations

from mutants.mutant import Argv, Argvs, Mutant, Sending, without, word
from popoto.storage import Reply, Step

_BY_SCORE = {b"ZRANGE", b"ZCOUNT", b"ZREMRANGEBYSCORE"}


def _closed(bound: bytes) -> bytes:
    return bound.removeprefix(b"(")


class InclusiveBounds(Mutant):
    """Takes an exclusive score bound for an inclusive one."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] not in _BY_SCORE or b"BYLEX" in argv:
            return argv
        return (*argv[:2], *map(_closed, argv[2:4]), *argv[4:])


class InclusiveTexts(Mutant):
    """Takes an exclusive text bound for an inclusive one."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if b"BYLEX" not in argv:
            return argv
        low, high = (b"[" + bound[1:] if bound.startswith(b"(") else bound for bound in argv[2:4])
        return (*argv[:2], low, high, *argv[4:])


class InclusiveCounts(Mutant):
    """Takes an exclusive bound for an inclusive one when it counts."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:2], *map(_closed, argv[2:4])) if argv[0] == b"ZCOUNT" else argv


class IgnoresOffset(Mutant):
    """Starts every limited range at its beginning."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"ZRANGE" or b"LIMIT" not in argv[4:]:
            return argv
        at = argv.index(b"LIMIT", 4)
        return (*argv[: at + 1], b"0", *argv[at + 2 :])


class IgnoresCount(Mutant):
    """Gives a limited range whole."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"ZRANGE" or b"LIMIT" not in argv[4:]:
            return argv
        at = argv.index(b"LIMIT", 4)
        return (*argv[: at + 2], b"-1", *argv[at + 3 :])


class ForwardPlaces(Mutant):
    """Gives a reversed range by place from the lowest score."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        return without(argv, b"REV") if argv[0] == b"ZRANGE" and b"BYSCORE" not in argv else argv


class ForwardScores(Mutant):
    """Gives a reversed range by score from the low bound."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"ZRANGE" or b"BYSCORE" not in argv or b"REV" not in argv:
            return argv
        return without((*argv[:2], argv[3], argv[2], *argv[4:]), b"REV")


class InfiniteBoundsAreFinite(Mutant):
    """Takes an infinite bound for a large number, and so misses infinite scores."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        finite = {b"+inf": b"1e300", b"-inf": b"-1e300"}
        if argv[0] not in _BY_SCORE:
            return argv
        return (*argv[:2], *(finite.get(bound, bound) for bound in argv[2:4]), *argv[4:])


class TiesReversed(Mutant):
    """Gives members of equal score in the reverse order of their bytes."""

    killed_by = "test_sorted_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        if word(step) != b"ZRANGE" or not isinstance(reply, list) or not reply or not isinstance(reply[0], tuple):
            return reply
        scores = sorted({score for _, score in reply})
        if len(scores) > 1:
            return reply
        return reply[::-1]


class HighestPoppedFirst(Mutant):
    """Pops the highest scores where the lowest were asked for."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        return (b"ZPOPMAX", *argv[1:]) if argv[0] == b"ZPOPMIN" else argv


class WalksOnePage(Mutant):
    """Ends a walk over a container or the keys after its first page."""

    killed_by = "test_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return (0, reply[1]) if word(step).endswith(b"SCAN") and isinstance(reply, tuple) else reply


class ListsWithoutEnd(Mutant):
    """Leaves the last place of a list's range out."""

    killed_by = "test_lists"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return reply[:-1] if word(step) == b"LRANGE" and isinstance(reply, list) else reply


class CountsPlacesFromFront(Mutant):
    """Takes a place that is counted from the end for the last one."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"ZRANGE" or b"BYSCORE" in argv or b"BYLEX" in argv or int(argv[3]) >= -1:
            return argv
        return (*argv[:3], b"-1", *argv[4:])


class ReplacesWhereItAdds(Mutant):
    """Sets a score where it was to be added to."""

    killed_by = "test_sorted_sets"

    def send(self, argvs: Argvs) -> Sending:
        raw = yield argvs
        added = [(b"ZADD", *argv[1:]) for argv in argvs if argv[0] == b"ZINCRBY"]
        if added:
            yield added
        return raw  # type: ignore[no-any-return]


class KeepsOldTarget(Mutant):
    """Adds a union to what its target held before."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"ZUNIONSTORE" or b"WEIGHTS" in argv or argv[-1] != b"SUM":
            return argv
        return (argv[0], argv[1], str(int(argv[2]) + 1).encode(), argv[1], *argv[3:])


class RemovesOneMember(Mutant):
    """Removes the first of several members only."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        return argv[:3] if argv[0] == b"ZREM" else argv


class RemovesOnePlaceLess(Mutant):
    """Leaves the last of the places to be removed."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"ZREMRANGEBYRANK":
            return argv
        return (*argv[:3], str(int(argv[3]) - 1).encode())
