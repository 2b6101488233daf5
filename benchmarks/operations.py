"""What each operation costs beside two floors, in one run on one server.

    python benchmarks/operations.py [URL] [ROWS] [--hiredis]

The floors are the same work pipelined by hand with the client, and by one hand-written script or command. The URL is
`embedded::memory:` by default, ROWS 20,000. Costs are of the client's and the server's processor time together; the
server's is told by INFO. Without `--hiredis` the client's parser is the one in Python, for floors and popoto alike.
Nothing here is asserted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

if "--hiredis" not in sys.argv:
    for parser in ("hiredis", "libvalkey"):
        sys.modules[parser] = None  # type: ignore[assignment]

import msgpack
from operations_floor import Floors, Scripts

import popoto
from popoto import Field, FloatField, GeoField, IndexedField, IntField, KeyField, Model, SortedField

Work = Callable[[int], Any]
MATCHES = 100


class Wine(Model):
    """A row of seven fields and four indexes."""

    name = KeyField()
    grape = IndexedField()
    price = SortedField(type=float, default=0.0)
    place = GeoField()
    note = Field()
    bottles = IntField(default=1)
    score = FloatField(default=1.5)


class Operation(NamedTuple):
    """One line of the table: how often it is run, what popoto does, and the name of the floors' methods."""

    name: str
    times: int
    popoto: Work
    floor: str


def values(number: int, groups: int) -> dict[str, Any]:
    """A row's values; each group of rows has one grape and one place."""
    group = number % groups
    return {
        "name": f"n{number}",
        "grape": f"g{group}",
        "price": float(number),
        "place": (group / groups * 80, group / groups * 170),
        "note": "n" * 18,
    }


def server_seconds(client: Any) -> float:
    """The server's processor time so far."""
    facts = client.info("cpu")
    return float(facts["used_cpu_user"]) + float(facts["used_cpu_sys"])


def cost(client: Any, work: Work, times: int) -> float:
    """Microseconds of processor time, client and server, of one run of the work."""
    server, mine = server_seconds(client), time.process_time()
    for number in range(times):
        work(number)
    return (time.process_time() - mine + server_seconds(client) - server) / times * 1e6


def operations(rows: int) -> list[Operation]:
    """The work with popoto, in an order in which each finds what it needs."""
    groups = rows // MATCHES
    loaded: dict[int, Any] = {}

    def update(number: int) -> None:
        wine = loaded[number % 2000]
        wine.grape = f"h{number % 7}" if wine.grape[0] == "g" else f"g{number % groups}"
        wine.save()

    def load(number: int) -> None:
        loaded[number % 2000] = Wine.query.get(name=f"n{number % 2000}")

    def near(number: int) -> None:
        found = Wine.query.filter(place=values(number, groups)["place"], place_radius=1, place_radius_unit="km").all()
        assert len(found) == MATCHES

    def bulk(number: int) -> None:
        some = [Wine(**{**values(one, groups), "name": f"b{number}-{one}"}) for one in range(1000)]
        Wine.bulk_create(some)

    return [
        Operation("create", rows, lambda number: Wine.create(**values(number, groups)), "create"),
        Operation("get", 2000, load, "get"),
        Operation("filter, 100 matches", 100, lambda n: len(Wine.query.filter(grape=f"g{n % groups}").all()), "filter"),
        Operation("geo, 100 matches", 100, near, "near"),
        Operation("order_by, limit 10", 500, lambda n: Wine.query.filter(order_by="price", limit=10).all(), "cheapest"),
        Operation(
            "count on two fields", 500, lambda n: Wine.query.count(grape=f"g{n % groups}", price__gte=rows / 2), "count"
        ),
        Operation("10,000 rows", 2, lambda n: Wine.query.filter(price__lt=10_000.0).all(), "many"),
        Operation("indexed partial update", 2000, update, "update"),
        Operation("increment", 2000, lambda n: loaded[n % 2000].atomic_increment("bottles", 1), "increment"),
        Operation("bulk_create of 1,000", 3, bulk, "bulk"),
    ]


def main() -> None:
    """Measure and print."""
    given = [word for word in sys.argv[1:] if not word.startswith("--")]
    url = given[0] if given else "embedded::memory:"
    rows = int(given[1]) if len(given) > 1 else 20_000
    store = popoto.connect(url)
    client = store.native
    hand, scripts = Floors(client, rows, values, msgpack.packb), Scripts(client, rows, values, msgpack.packb)
    parser = type(client.connection_pool.make_connection()._parser).__name__
    print(f"{store.info.server} {store.info.version}, {rows} rows, {parser}")
    print(f"{'operation':24}{'by hand':>12}{'one script':>12}{'popoto':>12}{'to hand':>9}{'to script':>10}")
    for one in operations(rows):
        floor, script = (cost(client, getattr(side, one.floor), one.times) for side in (hand, scripts))
        ours = cost(client, one.popoto, one.times)
        times = f"{floor:>9.0f} us{script:>9.0f} us{ours:>9.0f} us"
        print(f"{one.name:24}{times}{ours / floor:>9.2f}{ours / script:>10.2f}", flush=True)
    started = time.process_time()
    for _ in range(20_000):
        Wine(name="n", grape="g", price=1.0, note="x")
    print(f"{'constructing an instance':24}{(time.process_time() - started) / 20_000 * 1e6:>33.1f} us")


if __name__ == "__main__":
    main()
