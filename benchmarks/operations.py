"""What each operation costs beside the same work pipelined by hand with redis-py, in one run on one server.

    python benchmarks/operations.py [URL] [ROWS]

The URL is `embedded::memory:` by default. Ratios are of the client's and the server's processor time together, the
floor's being 1; the server's is told by INFO. Nothing here is asserted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import popoto
from popoto import Field, FloatField, IndexedField, IntField, KeyField, Model, SortedField


class Wine(Model):
    """A row of six fields and three indexes."""

    name = KeyField()
    grape = IndexedField()
    price = SortedField(type=float, default=0.0)
    note = Field()
    bottles = IntField(default=1)
    score = FloatField(default=1.5)


def server_seconds(client: Any) -> float:
    """The server's processor time so far."""
    facts = client.info("cpu")
    return float(facts["used_cpu_user"]) + float(facts["used_cpu_sys"])


def cost(client: Any, work: Callable[[int], Any], times: int) -> float:
    """Microseconds of processor time, client and server, of one run of the work."""
    work(0)
    server, mine = server_seconds(client), time.process_time()
    for number in range(times):
        work(number)
    return (time.process_time() - mine + server_seconds(client) - server) / times * 1e6


def by_hand(client: Any, rows: int) -> dict[str, tuple[Callable[[int], Any], int]]:
    """The same work with the client alone."""

    def create(number: int) -> None:
        pipe = client.pipeline()
        key = f"Hand:{number}"
        values = {
            "name": b"x" * 8,
            "grape": b"y" * 4,
            "price": b"z" * 9,
            "note": b"n" * 20,
            "bottles": b"1",
            "score": b"s" * 9,
        }
        pipe.hset(key, mapping=values).sadd("Hand", key).sadd(f"Hand:name:{number}", key)
        pipe.sadd(f"Hand:grape:{number % (rows // 100)}", key).zadd("Hand:price", {key: number}).execute()

    def update(number: int) -> None:
        pipe = client.pipeline()
        key = f"Hand:{number}"
        pipe.hset(key, "grape", b"new").srem(f"Hand:grape:{number % (rows // 100)}", key)
        pipe.sadd(f"Hand:grape:{number % (rows // 100)}", key).execute()

    def find(number: int) -> None:
        pipe = client.pipeline(transaction=False)
        for key in client.smembers(f"Hand:grape:{number % (rows // 100)}"):
            pipe.hgetall(key)
        pipe.execute()

    def cheapest(number: int) -> None:
        pipe = client.pipeline(transaction=False)
        for key in client.zrange("Hand:price", 0, 9):
            pipe.hgetall(key)
        pipe.execute()

    return {
        "create": (create, rows),
        "get": (lambda number: client.hgetall(f"Hand:{number}"), 2000),
        "indexed partial update": (update, 2000),
        "increment": (lambda number: client.hincrby(f"Hand:{number}", "bottles", 1), 2000),
        "filter, 100 matches": (find, 200),
        "order_by and limit 10": (cheapest, 500),
    }


def with_popoto(rows: int) -> dict[str, Callable[[int], Any]]:
    """The work with popoto."""

    def create(number: int) -> None:
        Wine.create(name=f"n{number}", grape=f"g{number % (rows // 100)}", price=float(number), note="n" * 18)

    loaded: dict[int, Any] = {}

    def update(number: int) -> None:
        wine = loaded.get(number) or loaded.setdefault(number, Wine.load(f"Wine:n{number}"))
        wine.grape = f"h{number % 7}" if wine.grape[0] == "g" else f"g{number % (rows // 100)}"
        wine.save()

    return {
        "create": create,
        "get": lambda number: Wine.query.get(name=f"n{number}"),
        "indexed partial update": update,
        "increment": lambda number: loaded[number % 2000].atomic_increment("bottles", 1),
        "filter, 100 matches": lambda number: Wine.query.filter(grape=f"g{number % (rows // 100)}").all(),
        "order_by and limit 10": lambda number: Wine.query.filter(order_by="price", limit=10).all(),
    }


def main() -> None:
    """Measure and print."""
    url = sys.argv[1] if len(sys.argv) > 1 else "embedded::memory:"
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    store = popoto.connect(url)
    client = store.native
    floors, ours = by_hand(client, rows), with_popoto(rows)
    print(f"{store.info.server} {store.info.version}, {rows} rows")
    print(f"{'operation':26}{'by hand':>12}{'popoto':>12}{'ratio':>8}")
    for name, (floor, times) in floors.items():
        low, high = cost(client, floor, times), cost(client, ours[name], times)
        print(f"{name:26}{low:>9.0f} us{high:>9.0f} us{high / low:>8.2f}")
    started = time.process_time()
    for _ in range(20_000):
        Wine(name="n", grape="g", price=1.0, note="x")
    print(f"{'construct an instance':26}{'':>12}{(time.process_time() - started) / 20_000 * 1e6:>9.1f} us")


if __name__ == "__main__":
    main()
