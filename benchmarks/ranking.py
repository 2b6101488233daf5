"""What ranked queries cost the server, and what they send, at 1,000, 10,000 and 100,000 rows.

    python benchmarks/ranking.py [URL] [ROWS ...]

The URL is `embedded::memory:` by default. Ten rows are asked for. The server's processor time is told by INFO, as the
mean of a few runs; bytes to and from the server are told by INFO too, less what INFO itself takes. Each line also says
how many round trips it took. The worst cases come beside their floors, what one script by hand takes for the same rows
without a bound on its time, and beside what one takes that stores a copy. Of times nothing is asserted.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import ranking_floor

import popoto
from popoto import CyclicDecayField, DecayingSortedField, FloatField, IndexedField, KeyField, Model, SortedField, clock

NOW = 1_795_344_718.0
DAY = 86_400
BATCH = 1_000


class Memory(Model):
    """A row with what an agent's memory ranks by."""

    name = KeyField()
    agent = IndexedField()
    weight = FloatField(default=1.0)
    spread = FloatField(default=1.0)
    trust = SortedField(type=float, default=0.5)
    reads = SortedField(type=float, default=0.0)
    priority = SortedField(type=float, default=0.0)
    plain = DecayingSortedField()
    based = DecayingSortedField(base_score_field="weight")
    uneven = DecayingSortedField(base_score_field="spread")
    cyclic = CyclicDecayField(base_score_field="weight", cycles=[(DAY, 0.5), (7 * DAY, 0.3)], pressure_rate=0.01)


def rows(count: int) -> list[Memory]:
    """Rows of a year, with bases and reads as they come: many small, few large."""
    dice = random.Random(1)
    found = []
    for number in range(count):
        moment = NOW - dice.uniform(0, 365) * DAY
        found.append(
            Memory(
                name=f"m{number}",
                agent=f"a{number % 50}",
                weight=dice.choice([0.2, 1.0, 6.0, 7.0, 12.0, 22.0]),
                spread=dice.uniform(0, 22),
                trust=dice.random(),
                reads=float(int(dice.paretovariate(1.2)) - 1),
                priority=dice.uniform(0.7, 1.0),
                plain=moment,
                based=moment,
                uneven=moment,
                cyclic=moment,
            )
        )
    return found


def store(count: int) -> None:
    """Save the rows as they are, in batches, each with the moment at which its pressure began."""
    made = rows(count)
    backend = popoto.connection()
    for start in range(0, count, BATCH):
        some = made[start : start + BATCH]
        pipe = backend.pipeline()
        for row in some:
            with clock.frozen(lambda row=row: row.plain):
                row.save(pipeline=pipe, skip_auto_now=True)
        pipe.execute()


def facts(client: Any) -> tuple[float, int, int]:
    """The server's processor seconds, and bytes that it received and sent so far."""
    info = client.info()
    seconds = float(info["used_cpu_user_main_thread"]) + float(info["used_cpu_sys_main_thread"])
    return seconds, int(info["total_net_input_bytes"]), int(info["total_net_output_bytes"])


def store_adverse(count: int) -> None:
    """Save the rows of the worst cases."""
    backend = popoto.connection()
    pipe = backend.pipeline()
    for number, row in enumerate(ranking_floor.rows(count, NOW), 1):
        row.save(pipeline=pipe, skip_auto_now=True)
        if number % BATCH == 0 or number == count:
            pipe.execute()
            pipe = backend.pipeline()


def cost(client: Any, work: Callable[[], Any], times: int = 5) -> tuple[float, float, float, float]:
    """Milliseconds of the server's processor, KiB to and from it, round trips: the mean of a few runs."""
    work()
    first, second = facts(client), facts(client)
    own = [one - other for one, other in zip(second, first, strict=True)]
    before = facts(client)
    with popoto.round_trips() as trips:
        for _ in range(times):
            work()
    after = facts(client)
    spent, received, sent = (
        (one - other - self_) / times for one, other, self_ in zip(after, before, own, strict=True)
    )
    return spent * 1000, received / 1024, sent / 1024, trips.count / times


def measured(client: Any, name: str, work: Callable[[], Any]) -> float:
    """Print what the work costs; the milliseconds."""
    milliseconds, received, sent, trips = cost(client, work)
    print(f"  {name:44} {milliseconds:8.2f} ms {received:8.1f} {sent:8.1f} KiB {trips:5.1f}", end="", flush=True)
    return milliseconds


def beside_floor(client: Any, case: ranking_floor.Worst) -> None:
    """Print what a worst case costs, and how many times its floor that is."""
    assert [f"Adverse:{row.name}".encode() for row in case.work()] == case.floor(), case.name
    taken = measured(client, case.name, case.work)
    least = cost(client, case.floor)[0]
    copied = f", with a copy {cost(client, case.copy)[0]:.2f}" if case.copy is not None else ""
    print(f"   floor {least:.2f} ms, {taken / least:.2f} times{copied}")


def cases() -> list[tuple[str, Callable[[], Any]]]:
    """What is asked."""
    query = Memory.query
    four = {"plain": 0.4, "trust": 0.3, "reads": 0.2, "priority": 0.1}
    even = {"trust": 1.0, "priority": 1.0, "plain": 1.0}

    def ranked(weights: dict[str, float], **more: Any) -> Callable[[], Any]:
        return lambda: query.composite_score(weights, now=NOW, **more)

    return [
        ("top_by_decay", lambda: query.top_by_decay("plain", now=NOW)),
        ("top_by_decay with a base", lambda: query.top_by_decay("based", now=NOW)),
        ("top_by_decay with a base spread evenly", lambda: query.top_by_decay("uneven", now=NOW)),
        ("top_by_decay with another base", lambda: query.top_by_decay("plain", base_score_field="weight", now=NOW)),
        ("top_by_decay cyclic", lambda: query.top_by_decay("cyclic", now=NOW)),
        ("top_by_decay of one agent", lambda: query.filter(agent="a7").top_by_decay("based", now=NOW)),
        ("composite of decay", ranked({"plain": 1.0})),
        ("composite of decay, trust, reads, priority", ranked(four)),
        ("  the same, one agent", lambda: query.filter(agent="a7").composite_score(four, now=NOW)),
        ("composite, even weights", ranked(even)),
        ("composite, MIN", ranked(four, aggregate="MIN")),
    ]


def main() -> None:
    """Measure and print."""
    url = sys.argv[1] if len(sys.argv) > 1 else "embedded::memory:?timeout=60"
    client = popoto.connect(url).native
    for count in [int(word) for word in sys.argv[2:]] or [1_000, 10_000, 100_000]:
        Memory.delete_all()
        store(count)
        print(f"{count:,} rows: milliseconds of the server, KiB to and from it, round trips")
        for name, work in cases():
            measured(client, name, work)
            print()
        ranking_floor.Adverse.delete_all()
        store_adverse(count)
        print("  worst cases")
        for case in ranking_floor.cases(client, NOW):
            beside_floor(client, case)


if __name__ == "__main__":
    main()
