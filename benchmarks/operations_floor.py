"""The two floors of `operations.py`: the same rows and indexes by hand, without a mapper's checks and promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Values = Callable[[int, int], dict[str, Any]]


class Floors:
    """The work pipelined by hand, as a careful user of the client would write it."""

    prefix = "Hand"

    def __init__(self, client: Any, rows: int, values: Values, pack: Callable[[Any], bytes]) -> None:
        self.client = client
        self.rows = rows
        self.groups = rows // 100
        self.values = values
        self.pack = pack

    def row(self, number: int, name: str | None = None) -> tuple[str, dict[str, Any], dict[str, bytes]]:
        """A row's key, its values and its bytes."""
        made = {"bottles": 1, "score": 1.5, **self.values(number, self.groups)}
        if name is not None:
            made["name"] = name
        return f"{self.prefix}:{made['name']}", made, {field: self.pack(value) for field, value in made.items()}

    def queue(self, pipe: Any, number: int, name: str | None = None) -> None:
        """Queue what creates a row."""
        key, made, raw = self.row(number, name)
        pipe.hset(key, mapping=raw)
        pipe.sadd(self.prefix, key)
        pipe.sadd(f"{self.prefix}-name:{made['name']}", key)
        pipe.sadd(f"{self.prefix}-grape:{made['grape']}", key)
        pipe.zadd(f"{self.prefix}-price", {key: made["price"]})
        pipe.geoadd(f"{self.prefix}-place", (made["place"][1], made["place"][0], key))

    def create(self, number: int) -> None:
        pipe = self.client.pipeline()
        self.queue(pipe, number)
        pipe.execute()

    def get(self, number: int) -> Any:
        return self.client.hgetall(f"{self.prefix}:n{number}")

    def rows_of(self, keys: Any) -> list[Any]:
        """The rows with these keys."""
        pipe = self.client.pipeline(transaction=False)
        for key in keys:
            pipe.hgetall(key)
        return list(pipe.execute())

    def filter(self, number: int) -> Any:
        return self.rows_of(self.client.smembers(f"{self.prefix}-grape:g{number % self.groups}"))

    def near(self, number: int) -> Any:
        latitude, longitude = self.values(number, self.groups)["place"]
        place = f"{self.prefix}-place"
        keys = self.client.geosearch(place, longitude=longitude, latitude=latitude, radius=1, unit="km")
        assert len(keys) == 100
        return self.rows_of(keys)

    def cheapest(self, number: int) -> Any:
        return self.rows_of(self.client.zrange(f"{self.prefix}-price", 0, 9))

    def count(self, number: int) -> int:
        pipe = self.client.pipeline(transaction=False)
        pipe.smembers(f"{self.prefix}-grape:g{number % self.groups}")
        pipe.zrangebyscore(f"{self.prefix}-price", self.rows / 2, "+inf")
        some, others = pipe.execute()
        return len(set(some) & set(others))

    def many(self, number: int) -> Any:
        found: list[Any] = []
        keys = self.client.zrangebyscore(f"{self.prefix}-price", "-inf", "(10000")
        for first in range(0, len(keys), 1000):
            found += self.rows_of(keys[first : first + 1000])
        return found

    def update(self, number: int) -> None:
        key = f"{self.prefix}:n{number}"
        old, new = f"g{number % self.groups}", f"h{number % 7}"
        pipe = self.client.pipeline()
        pipe.hset(key, "grape", self.pack(new))
        pipe.srem(f"{self.prefix}-grape:{old}", key)
        pipe.sadd(f"{self.prefix}-grape:{new}", key)
        pipe.execute()

    def increment(self, number: int) -> Any:
        return self.client.hincrby(f"{self.prefix}-count:{number}", "bottles", 1)

    def bulk(self, number: int) -> None:
        pipe = self.client.pipeline()
        for one in range(1000):
            self.queue(pipe, one, f"b{number}-{one}")
        pipe.execute()


CREATE = """
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('SADD', KEYS[2], KEYS[1])
redis.call('SADD', KEYS[3], KEYS[1])
redis.call('SADD', KEYS[4], KEYS[1])
redis.call('ZADD', KEYS[5], ARGV[1], KEYS[1])
redis.call('GEOADD', KEYS[6], ARGV[3], ARGV[2], KEYS[1])
return 1
"""
ROWS = """
local keys = {}
if ARGV[1] == 'set' then
  keys = redis.call('SMEMBERS', KEYS[1])
elseif ARGV[1] == 'circle' then
  keys = redis.call('GEOSEARCH', KEYS[1], 'FROMLONLAT', ARGV[2], ARGV[3], 'BYRADIUS', ARGV[4], 'km')
elseif ARGV[1] == 'first' then
  keys = redis.call('ZRANGE', KEYS[1], 0, ARGV[2])
else
  keys = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3], 'BYSCORE', 'LIMIT', ARGV[4], ARGV[5])
end
local rows = {}
for place, key in ipairs(keys) do
  rows[place] = redis.call('HMGET', key, 'name', 'grape', 'price', 'place', 'note', 'bottles', 'score')
end
return rows
"""
COUNT = """
local count = 0
for _, score in ipairs(redis.call('ZMSCORE', KEYS[2], unpack(redis.call('SMEMBERS', KEYS[1])))) do
  if score and tonumber(score) >= tonumber(ARGV[1]) then count = count + 1 end
end
return count
"""
UPDATE = """
redis.call('HSET', KEYS[1], 'grape', ARGV[1])
redis.call('SREM', KEYS[2], KEYS[1])
redis.call('SADD', KEYS[3], KEYS[1])
return 1
"""


class Scripts(Floors):
    """The work as one hand-written script or command each."""

    prefix = "Lua"

    def __init__(self, client: Any, rows: int, values: Values, pack: Callable[[Any], bytes]) -> None:
        super().__init__(client, rows, values, pack)
        self.shas = {text: client.script_load(text) for text in (CREATE, ROWS, COUNT, UPDATE)}

    def run(self, text: str, keys: list[str], *words: Any) -> Any:
        """Run a script by its digest."""
        return self.client.evalsha(self.shas[text], len(keys), *keys, *words)

    def words(self, number: int, name: str | None = None) -> tuple[list[str], list[Any]]:
        """The keys and words that create a row."""
        key, made, raw = self.row(number, name)
        named = [f"{self.prefix}-name:{made['name']}", f"{self.prefix}-grape:{made['grape']}"]
        keys = [key, self.prefix, *named, f"{self.prefix}-price", f"{self.prefix}-place"]
        return keys, [made["price"], *made["place"], *(word for pair in raw.items() for word in pair)]

    def create(self, number: int) -> None:
        keys, words = self.words(number)
        self.run(CREATE, keys, *words)

    def filter(self, number: int) -> Any:
        return self.run(ROWS, [f"{self.prefix}-grape:g{number % self.groups}"], "set")

    def near(self, number: int) -> Any:
        latitude, longitude = self.values(number, self.groups)["place"]
        return self.run(ROWS, [f"{self.prefix}-place"], "circle", longitude, latitude, 1)

    def cheapest(self, number: int) -> Any:
        return self.run(ROWS, [f"{self.prefix}-price"], "first", 9)

    def count(self, number: int) -> int:
        keys = [f"{self.prefix}-grape:g{number % self.groups}", f"{self.prefix}-price"]
        return int(self.run(COUNT, keys, self.rows / 2))

    def many(self, number: int) -> Any:
        found: list[Any] = []
        for first in range(0, min(self.rows, 10_000), 1000):
            found += self.run(ROWS, [f"{self.prefix}-price"], "range", "-inf", "(10000", first, 1000)
        return found

    def update(self, number: int) -> None:
        old, new = f"g{number % self.groups}", f"h{number % 7}"
        keys = [f"{self.prefix}:n{number}", f"{self.prefix}-grape:{old}", f"{self.prefix}-grape:{new}"]
        self.run(UPDATE, keys, self.pack(new))

    def bulk(self, number: int) -> None:
        pipe = self.client.pipeline(transaction=False)
        for one in range(1000):
            keys, words = self.words(one, f"b{number}-{one}")
            pipe.evalsha(self.shas[CREATE], len(keys), *keys, *words)
        pipe.execute()
