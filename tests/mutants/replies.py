"""Mutants whose replies have a wrong shape, type or value."""

from __future__ import annotations

from typing import Any

from mutants.mutant import Argvs, Mutant, Sending, deep, word
from popoto.exceptions import ReplyError
from popoto.storage import Call, Command, Reply, Step

_SETS = {b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SPOP"}
_TRUTHS = {b"EXISTS", b"HEXISTS", b"SISMEMBER", b"SMISMEMBER", b"HSETNX", b"RENAMENX", b"PEXPIRE", b"PERSIST"}


class ListsForSets(Mutant):
    """Answers a list where a set belongs."""

    killed_by = "test_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return list(reply) if isinstance(reply, set) else reply


class PairsForMappings(Mutant):
    """Answers a flat list where a hash's mapping belongs."""

    killed_by = "test_hashes"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return [part for pair in reply.items() for part in pair] if word(step) == b"HGETALL" else reply


class TextForScores(Mutant):
    """Answers a score as text."""

    killed_by = "test_sorted_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return repr(reply).encode() if word(step) == b"ZSCORE" and isinstance(reply, float) else reply


class TextInPairs(Mutant):
    """Answers the scores beside members as text."""

    killed_by = "test_sorted_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        if word(step) != b"ZRANGE" or not isinstance(reply, list):
            return reply
        return [(row[0], repr(row[1]).encode()) if isinstance(row, tuple) else row for row in reply]


class IntegersForTruth(Mutant):
    """Answers 0 or 1 where True or False belongs."""

    killed_by = "test_keys"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return deep(int, reply) if word(step) in _TRUTHS and not isinstance(reply, ReplyError) else reply


class WordsForTruth(Mutant):
    """Answers a status as its word."""

    killed_by = "test_strings"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return b"OK" if word(step) == b"SET" and reply is True else reply


class DecodesBytes(Mutant):
    """Answers text where bytes belong."""

    killed_by = "test_strings"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return deep(lambda leaf: leaf.decode("utf-8", "replace") if isinstance(leaf, bytes) else leaf, reply)


class EmptyForMissing(Mutant):
    """Answers empty bytes for a missing string or field."""

    killed_by = "test_strings"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return b"" if reply is None and word(step) in {b"GET", b"HGET", b"LPOP", b"RPOP"} else reply


class MissingForEmpty(Mutant):
    """Answers None for empty bytes that are stored."""

    killed_by = "test_strings"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return deep(lambda leaf: None if leaf == b"" else leaf, reply)


class SkipsMissing(Mutant):
    """Leaves out of a list of values what is missing."""

    killed_by = "test_hashes"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return [item for item in reply if item is not None] if word(step) in {b"HMGET", b"MGET"} else reply


class NoneForEmpty(Mutant):
    """Answers None for an empty container."""

    killed_by = "test_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return None if isinstance(reply, list | set | dict) and not reply else reply


class RoundsScores(Mutant):
    """Rounds scores to six digits."""

    killed_by = "test_sorted_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        rounded = word(step).startswith(b"Z") and not isinstance(reply, ReplyError)
        return deep(self._rounded, reply) if rounded else reply

    def _rounded(self, leaf: Any) -> Any:
        return float(f"{leaf:.6g}") if isinstance(leaf, float) else leaf


class ZeroForMissingScores(Mutant):
    """Answers 0 for the score of what is no member."""

    killed_by = "test_sorted_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        if word(step) == b"ZSCORE" and reply is None:
            return 0.0
        return [item or 0.0 for item in reply] if word(step) == b"ZMSCORE" else reply


class SwallowsErrors(Mutant):
    """Answers None where the server answered an error."""

    killed_by = "test_errors"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return None if isinstance(step, Command) and isinstance(reply, ReplyError) else reply


class SwallowsScriptErrors(Mutant):
    """Answers None where a script failed."""

    killed_by = "test_scripts"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return None if isinstance(step, Call) and isinstance(reply, ReplyError) else reply


class ForgetsErrorClasses(Mutant):
    """Answers every error of the server as a plain `ReplyError`."""

    killed_by = "test_errors"

    def reply(self, step: Step, reply: Reply) -> Reply:
        plain = isinstance(step, Command) and isinstance(reply, ReplyError)
        return ReplyError(reply.code, reply.text) if plain else reply


class ForgetsScriptErrorClasses(Mutant):
    """Answers the error that a command raised inside a script as a plain `ReplyError`."""

    killed_by = "test_scripts"

    def reply(self, step: Step, reply: Reply) -> Reply:
        plain = isinstance(step, Call) and isinstance(reply, ReplyError)
        return ReplyError(reply.code, reply.text) if plain else reply


class ForgetsErrorCodes(Mutant):
    """Answers every error of the server under the code ERR."""

    killed_by = "test_errors"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return type(reply)("ERR", f"{reply.code} {reply.text}") if isinstance(reply, ReplyError) else reply


class AsyncTwinDiffers(Mutant):
    """Answers a range in the opposite order, in its asyncio form only."""

    killed_by = "test_sorted_sets"
    forms = frozenset({"asyncio"})

    def reply(self, step: Step, reply: Reply) -> Reply:
        return reply[::-1] if word(step) == b"ZRANGE" and isinstance(reply, list) else reply


class LosesMapsOfResp3(Mutant):
    """Loses the values of a mapping that comes as a map, as it does under RESP3 only."""

    killed_by = "test_protocols"

    def send(self, argvs: Argvs) -> Sending:
        raw = yield argvs
        return [list(item) if isinstance(item, dict) else item for item in raw]


class NegativeForMissingRank(Mutant):
    """Answers -1 for the place of what is no member."""

    killed_by = "test_sorted_sets"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return -1 if word(step) == b"ZRANK" and reply is None else reply


class OriginForMissingPlace(Mutant):
    """Answers the origin for the position of what is no member."""

    killed_by = "test_geo"

    def reply(self, step: Step, reply: Reply) -> Reply:
        missing = word(step) == b"GEOPOS" and isinstance(reply, list)
        return [(0.0, 0.0) if place is None else place for place in reply] if missing else reply
