"""Mutants whose scripts run in an engine of their own, which differs from the server's in one way.

What a client sends as a command is done as it should be: only a script meets the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import ClassVar

from mutants.mutant import Argv, Executing, Mutant
from popoto.storage import Batch, Call, Reply

_ENGINE = (
    "local redis = (function(sound) local engine = {} for name, value in pairs(sound) do engine[name] = value end "
    "for _, verb in ipairs({'call', 'pcall'}) do local call = sound[verb] engine[verb] = function(...) "
    "local words = {...} local command = words[1] CALLS return call(unpack(words)) end end return engine end)(redis) "
)


def _sha(text: bytes) -> bytes:
    return sha1(text, usedforsecurity=False).hexdigest().encode()


class _Engine(Mutant):
    """Puts Lua before every script, on its first line: `calls` at each redis.call, `start` at its beginning."""

    calls: ClassVar[str] = ""
    start: ClassVar[str] = ""

    def __init__(self) -> None:
        self.changed: dict[bytes, bytes] = {}

    def argv(self, argv: Argv) -> Argv:
        if argv[0] == b"EVALSHA":
            return (b"EVALSHA", self.changed.get(argv[1], argv[1]), *argv[2:])
        if argv[0] != b"EVAL":
            return argv
        engine = _ENGINE.replace("CALLS", " ".join(self.calls.split())) if self.calls else ""
        text = f"{' '.join(self.start.split())} {engine}".encode() + argv[1]
        self.changed[_sha(argv[1])] = _sha(text)
        return (b"EVAL", text, *argv[2:])


# Orders and ranges


class ForwardInScripts(_Engine):
    """Gives a script's reversed ranges from the lowest score."""

    killed_by = "test_rankings"
    calls = """
        for at = 5, #words do
          if command == 'ZRANGE' and words[at] == 'REV' then
            table.remove(words, at)
            if words[at - 1] == 'BYSCORE' then words[3], words[4] = words[4], words[3] end
          end
        end"""


class ScoresInOrder(_Engine):
    """Gives a script the scores that it asks for in the order of the scores."""

    killed_by = "test_rankings"
    calls = """
        if command == 'ZMSCORE' then
          local scores = call(unpack(words))
          table.sort(scores, function(one, other) return (tonumber(one) or 0) < (tonumber(other) or 0) end)
          return scores
        end"""


class FiniteEndsInScripts(_Engine):
    """Takes infinite bounds of a script's ranges for large numbers."""

    killed_by = "test_models_reading"
    calls = """
        for at = 3, 4 do
          if command == 'ZRANGE' and words[5] == 'BYSCORE' then
            words[at] = ({['+inf'] = '1e300', ['-inf'] = '-1e300'})[words[at]] or words[at]
          end
        end"""


class IgnoresLimitsInScripts(_Engine):
    """Gives a script's limited ranges whole."""

    killed_by = "test_co_occurrence"
    calls = "for at = 5, #words do if words[at] == 'LIMIT' then words[at + 2] = -1 end end"


class TiesBackwardInScripts(_Engine):
    """Gives a script members of equal score in the reverse order of their bytes."""

    killed_by = "test_co_occurrence"
    calls = """
        if command == 'ZRANGEBYSCORE' and words[3] == words[4] then
          return call('ZREVRANGEBYSCORE', unpack(words, 2))
        end"""


class RanksOneLessInScripts(_Engine):
    """Leaves the last of the ranks that a script removes."""

    killed_by = "test_co_occurrence"
    calls = "if command == 'ZREMRANGEBYRANK' then words[4] = words[4] - 1 end"


class FieldsInOrder(_Engine):
    """Gives a script the fields that it asks for in the order of their names."""

    killed_by = "test_meanings"
    calls = """
        if command == 'HMGET' then
          local fields = {unpack(words, 3)}
          table.sort(fields)
          return call(command, words[2], unpack(fields))
        end"""


class NoPlacesInScripts(_Engine):
    """Finds nothing when a script searches by place."""

    killed_by = "test_models_reading"
    calls = "if command == 'GEOSEARCH' then return {} end"


# Numbers


class SinglePrecisionInScripts(_Engine):
    """Gives a script its scores as 32-bit floats."""

    killed_by = "test_rankings"
    calls = """
        if command == 'ZSCORE' then
          local score = call(unpack(words))
          return score and string.format('%.8g', score)
        end"""


class FourteenDigitsInScripts(_Engine):
    """Gives a script the scores of a range with fourteen digits, as Lua prints numbers."""

    killed_by = "test_co_occurrence"
    calls = """
        for at = 5, #words do
          if words[at] == 'WITHSCORES' then
            local flat = call(unpack(words))
            for place = 2, #flat, 2 do flat[place] = tostring(tonumber(flat[place])) end
            return flat
          end
        end"""


class FifteenDigitsFromScripts(_Engine):
    """Stores the scores that a script gives with fifteen digits."""

    killed_by = "test_co_occurrence"
    calls = """
        for at = 3, #words - 1, 2 do
          local score = command == 'ZADD' and tonumber(words[at])
          if score then words[at] = string.format('%.15g', score) end
        end"""


class UnsignedCountersInScripts(_Engine):
    """Leaves a counter as it is when a script counts it down."""

    killed_by = "test_texts"
    calls = "if command == 'HINCRBY' and tonumber(words[4]) < 0 then words[4] = 0 end"


class OldCountsInScripts(_Engine):
    """Gives a script the number that a counter had before it was counted up."""

    killed_by = "test_memory"
    calls = "if command == 'HINCRBY' then return call(unpack(words)) - words[4] end"


class CountsOnce(_Engine):
    """Counts a container once in a script, whatever the script does to it."""

    killed_by = "test_texts"
    start = "local counted = {}"
    calls = """
        if command == 'ZCARD' or command == 'SCARD' then
          counted[words[2]] = counted[words[2]] or call(unpack(words))
          return counted[words[2]]
        end"""


class SmallBitmapsInScripts(_Engine):
    """Keeps 2,048 bits of a script's bitmap, one for many places."""

    killed_by = "test_texts"
    calls = "if command == 'SETBIT' or command == 'GETBIT' then words[3] = words[3] % 2048 end"


class BitsFromTheLowestInScripts(_Engine):
    """Counts the bits of a byte from its lowest when a script reads them."""

    killed_by = "test_texts"
    calls = "if command == 'GETBIT' then local at = words[3] % 8 words[3] = words[3] - at + 7 - at end"


# What is missing


class EmptyForMissingInScripts(_Engine):
    """Gives a script an empty text for a value that is missing."""

    killed_by = "test_memory"
    calls = "if command == 'GET' or command == 'HGET' then return call(unpack(words)) or '' end"


class ZeroForMissingInScripts(_Engine):
    """Gives a script the score 0 for a member that is missing."""

    killed_by = "test_memory"
    calls = """
        if command == 'ZMSCORE' then
          local scores = call(unpack(words))
          for at = 1, #words - 2 do scores[at] = scores[at] or '0' end
          return scores
        end"""


class EmptyForMissingFields(_Engine):
    """Gives a script an empty text for each of several fields that is missing."""

    killed_by = "test_texts"
    calls = """
        if command == 'HMGET' then
          local values = call(unpack(words))
          for at = 1, #words - 2 do values[at] = values[at] or '' end
          return values
        end"""


class AddsMissingInScripts(_Engine):
    """Adds a member whose score a script wants changed only when present."""

    killed_by = "test_texts"
    calls = "if command == 'ZADD' and words[3] == 'XX' then table.remove(words, 3) end"


# What is done to keys and containers


class CopiesWhereScriptsRename(_Engine):
    """Leaves the source there when a script renames it."""

    killed_by = "test_co_occurrence"
    calls = """
        if command == 'RENAME' then
          local dump = call('DUMP', words[2])
          return dump and call('RESTORE', words[3], 0, dump, 'REPLACE')
        end"""


class DeletesOneKeyInScripts(_Engine):
    """Deletes the first of the keys that a script deletes at once."""

    killed_by = "test_meanings"
    calls = "if command == 'DEL' or command == 'UNLINK' then return call(command, words[2]) end"


class LooksAtOneKeyInScripts(_Engine):
    """Looks at the first of the keys when a script asks how many of them exist."""

    killed_by = "test_co_occurrence"
    calls = "if command == 'EXISTS' then return call(command, words[2]) end"


class DrawsOneLessInScripts(_Engine):
    """Draws one member less of a set than a script asks for."""

    killed_by = "test_co_occurrence"
    calls = """
        if command == 'SRANDMEMBER' then
          local drawn = call(unpack(words))
          if #drawn > 1 then table.remove(drawn) end
          return drawn
        end"""


class NeverTrimsInScripts(_Engine):
    """Lets a list grow that a script cuts."""

    killed_by = "test_memory"
    calls = "if command == 'LTRIM' then return {ok = 'OK'} end"


class PushesTheOtherEndInScripts(_Engine):
    """Puts what a script pushes at the other end of a list."""

    killed_by = "test_models_writing"
    calls = "words[1] = ({LPUSH = 'RPUSH', RPUSH = 'LPUSH'})[command] or command"


class RemovesUnsaid(_Engine):
    """Says to a script that nothing was removed from a sorted set."""

    killed_by = "test_memory"
    calls = "if command == 'ZREM' then call(unpack(words)) return 0 end"


class CutsScriptValuesAtNul(_Engine):
    """Ends a value that a script sets at its first NUL."""

    killed_by = "test_meanings"
    calls = "for at = 4, #words, 2 do if command == 'HSET' then words[at] = string.gsub(words[at], '%z.*', '') end end"


class ForgetsExpiryInScripts(_Engine):
    """Leaves a key without the expiry that a script gives it."""

    killed_by = "test_models_writing"
    calls = "if command == 'PEXPIRE' or command == 'PEXPIREAT' then return 1 end"


class IgnoresPersistInScripts(_Engine):
    """Leaves a key its expiry when a script takes it away."""

    killed_by = "test_models_writing"
    calls = "if command == 'PERSIST' then return 0 end"


class NoTimeLeftInScripts(_Engine):
    """Says to a script that a key without an expiry has no time left."""

    killed_by = "test_models_writing"
    calls = "if command == 'PTTL' then local left = call(unpack(words)) return left < 0 and 0 or left end"


class RefusesUndeclaredKeys(_Engine):
    """Refuses a script that touches a key which was not declared."""

    killed_by = "test_models_writing"
    calls = """
        local declared = false
        for _, key in ipairs(KEYS) do declared = declared or key == words[2] end
        if not declared then error('undeclared key') end"""


class MergesEqualKeys(_Engine):
    """Gives a script a key once that it was given twice."""

    killed_by = "test_models_writing"
    start = """
        local KEYS = (function(all)
          local merged, known = {}, {}
          for _, key in ipairs(all) do
            if not known[key] then merged[#merged + 1], known[key] = key, true end
          end
          return merged
        end)(KEYS)"""


class RemembersScripts(Mutant):
    """Answers a script that only reads as before, whatever scripts have written since."""

    killed_by = "test_rankings"

    def __init__(self) -> None:
        self.known: dict[tuple[object, ...], Reply] = {}

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = yield batch
        if any(step.writes and not isinstance(step, Call) for step in batch):
            self.known.clear()
        return self._remembered(batch, replies)

    def _remembered(self, batch: Batch, replies: Sequence[Reply]) -> list[Reply]:
        return [
            self.known.setdefault((step.script.sha, *step.keys, *step.args), reply)
            if isinstance(step, Call) and not step.writes
            else reply
            for step, reply in zip(batch, replies, strict=True)
        ]
