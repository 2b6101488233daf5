"""The worst cases of `ranking.py`, and their floors: one script by hand that reads the same and gives the same rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from popoto import DecayingSortedField, FloatField, IndexedField, KeyField, Model, SortedField

DAY = 86_400
FIELDS = ("one", "other", "third", "fourth")


class Adverse(Model):
    """A row whose numbers tell nothing of its score: `one` and `other` add up to 1, and so do `third` and `fourth`."""

    name = KeyField()
    agent = IndexedField()
    weight = FloatField(default=1.0)
    one = SortedField(type=float, default=0.0)
    other = SortedField(type=float, default=0.0)
    third = SortedField(type=float, default=0.0)
    fourth = SortedField(type=float, default=0.0)
    aged = DecayingSortedField()
    fresh = DecayingSortedField()


def rows(count: int, now: float) -> Iterator[Adverse]:
    """Rows of a year, all of which were touched within the last ten minutes."""
    dice = random.Random(2)
    for number in range(count):
        one, third = dice.random(), dice.random()
        yield Adverse(
            name=f"m{number:07}",
            agent=f"a{number % 5}",
            weight=dice.uniform(0, 22),
            one=one,
            other=1 - one,
            third=third,
            fourth=1 - third,
            aged=now - dice.uniform(0, 365) * DAY,
            fresh=now - 600 * (1 - number / count),
        )


# KEYS: sorted sets. ARGV: their weights. One is read in order, the others are asked for its members.
SUM = """
local best = {}
local function before(one, other)
  return one[1] > other[1] or (one[1] == other[1] and one[2] < other[2])
end
local weights = {}
for place = 1, #KEYS do
  weights[place] = tonumber(ARGV[place])
end
for first = 0, redis.call('ZCARD', KEYS[1]) - 1, 500 do
  local flat = redis.call('ZRANGE', KEYS[1], first, first + 499, 'WITHSCORES')
  local members, sums = {}, {}
  for place = 1, #flat / 2 do
    members[place], sums[place] = flat[2 * place - 1], weights[1] * tonumber(flat[2 * place])
  end
  for number = 2, #KEYS do
    local weight = weights[number]
    for place, score in ipairs(redis.call('ZMSCORE', KEYS[number], unpack(members))) do
      sums[place] = sums[place] + weight * tonumber(score)
    end
  end
  for place, member in ipairs(members) do
    local worst, sum = best[10], sums[place]
    if not worst or sum > worst[1] or (sum == worst[1] and member < worst[2]) then
      best[#best + 1] = {sum, member}
      table.sort(best, before)
      best[11] = nil
    end
  end
end
local keys = {}
for place, hit in ipairs(best) do
  keys[place] = hit[2]
end
return keys
"""

# The server adds up itself, into a key that is gone again: it is written to, and no step of it is short.
COPY = """
local command = {'ZUNIONSTORE', KEYS[1] .. ':copy', #KEYS, unpack(KEYS)}
command[#command + 1] = 'WEIGHTS'
for place = 1, #KEYS do
  command[#command + 1] = ARGV[place]
end
redis.call(unpack(command))
local keys = redis.call('ZRANGE', KEYS[1] .. ':copy', 0, 9, 'REV')
redis.call('DEL', KEYS[1] .. ':copy')
return keys
"""

# KEYS: a sorted set of moments. ARGV: the present; the field of the base in each row, or '' for none.
DECAY = """
local best, now, base = {}, tonumber(ARGV[1]), ARGV[2]
local function before(one, other)
  return one[1] > other[1] or (one[1] == other[1] and one[2] < other[2])
end
local function double(raw)
  local _, b1, b2, b3, b4, b5, b6, b7, b8 = string.byte(raw, 1, 9)
  local exponent = b1 * 16 + (b2 - b2 % 16) / 16
  local high = ((b2 % 16) * 256 + b3) * 256 + b4
  return ((high * 2 ^ 32 + ((b5 * 256 + b6) * 256 + b7) * 256 + b8) / 2 ^ 52 + 1) * 2 ^ (exponent - 1023)
end
for first = 0, redis.call('ZCARD', KEYS[1]) - 1, 500 do
  local flat = redis.call('ZRANGE', KEYS[1], first, first + 499, 'WITHSCORES')
  for place = 1, #flat, 2 do
    local member, days = flat[place], (now - tonumber(flat[place + 1])) / 86400
    local score = (days > 0.01 and days or 0.01) ^ -0.1
    if base ~= '' then
      score = score * double(redis.call('HGET', member, base))
    end
    local worst = best[10]
    if not worst or score > worst[1] or (score == worst[1] and member < worst[2]) then
      best[#best + 1] = {score, member}
      table.sort(best, before)
      best[11] = nil
    end
  end
end
local keys = {}
for place, hit in ipairs(best) do
  keys[place] = hit[2]
end
return keys
"""


class Worst(NamedTuple):
    """One worst case: what is asked, the same by hand, and by hand with a stored copy, where that can be."""

    name: str
    work: Callable[[], list[Any]]
    floor: Callable[[], list[bytes]]
    copy: Callable[[], list[bytes]] | None = None


def cases(client: Any, now: float) -> Iterator[Worst]:
    """The worst cases; ten rows are asked for."""

    def script(text: str, keys: list[str], *words: Any) -> Callable[[], list[bytes]]:
        run = client.register_script(text)
        return lambda: list(run(keys=keys, args=words))

    def opposed(*weights: float) -> Worst:
        signals = dict(zip(FIELDS, weights, strict=False))
        keys = [f"$SortF:Adverse:{name}" for name in signals]
        return Worst(
            f"composite, {len(weights)} opposed, {' '.join(str(one) for one in weights)}",
            lambda: query.composite_score(signals, now=now),
            script(SUM, keys, *weights),
            script(COPY, keys, *weights),
        )

    query = Adverse.query
    aged, fresh = "$DecayingSortF:Adverse:aged", "$DecayingSortF:Adverse:fresh"
    yield opposed(1, 1)
    yield opposed(0.6, 0.4)
    yield opposed(1, 1, 1, 1)
    yield opposed(0.4, 0.3, 0.2, 0.1)
    yield Worst(
        "top_by_decay with another base",
        lambda: query.top_by_decay("aged", base_score_field="weight", now=now),
        script(DECAY, [aged], now, "weight"),
    )
    yield Worst(
        "composite of decay, all of the same minutes",
        lambda: query.composite_score({"fresh": 1.0}, now=now),
        script(DECAY, [fresh], now, ""),
    )
