"""Mutants that do not carry every byte."""

from __future__ import annotations

from mutants.mutant import Argv, Mutant, deep, word
from popoto.storage import Reply, Step

_MOST = 65_535
_VALUES = {b"SET", b"HSET", b"RPUSH", b"APPEND"}


class CutsKeysAtNul(Mutant):
    """Ends a key at its first NUL."""

    killed_by = "test_keys"

    def argv(self, argv: Argv) -> Argv:
        if len(argv) < 2 or argv[0] in {b"EVAL", b"EVALSHA", b"SCAN", b"SCRIPT", b"INFO"}:
            return argv
        return (argv[0], argv[1].partition(b"\0")[0], *argv[2:])


class CutsValuesAtNul(Mutant):
    """Ends a value at its first NUL."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] not in _VALUES:
            return argv
        return (*argv[:2], *(part.partition(b"\0")[0] for part in argv[2:]))


class TruncatesLargeValues(Mutant):
    """Keeps the first 65,535 bytes of a value."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:2], *(part[:_MOST] for part in argv[2:])) if argv[0] in _VALUES else argv


class RepairsText(Mutant):
    """Replaces in a value what is not UTF-8."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] not in _VALUES:
            return argv
        return (*argv[:2], *(part.decode("utf-8", "replace").encode() for part in argv[2:]))


class StripsLineEnds(Mutant):
    """Strips line ends off values."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:2], *(part.rstrip(b"\r\n") for part in argv[2:])) if argv[0] in _VALUES else argv


class CutsLineEnds(Mutant):
    """Ends a value at its first line end, as an inline protocol does."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] not in _VALUES:
            return argv
        return (*argv[:2], *(part.partition(b"\r\n")[0] for part in argv[2:]))


class RoundsLargeIntegers(Mutant):
    """Passes counters through doubles, and so rounds them above 2^53."""

    killed_by = "test_hashes"

    def reply(self, step: Step, reply: Reply) -> Reply:
        if word(step) not in {b"INCRBY", b"HINCRBY"}:
            return reply
        return deep(lambda leaf: int(float(leaf)) if isinstance(leaf, int) else leaf, reply)


class CutsLongCommands(Mutant):
    """Keeps the first thousand arguments of a command that removes or adds members."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        return argv[:1002] if argv[0] in {b"SADD", b"SREM", b"ZADD", b"ZREM", b"HSET", b"RPUSH"} else argv
