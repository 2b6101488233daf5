"""Rankings whose bounds say little: all rows are looked at, in steps, and the best are those of plain Python."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from popoto import DecayingSortedField, FloatField, IndexedField, KeyField, Model, SortedField, round_trips
from popoto.queries import rank
from popoto.storage import Connection

NOW = 1_795_344_718.0
DAY = 86_400
SIGNALS = ("one", "other", "third", "fourth")


class Thing(Model):
    name = KeyField()
    agent = IndexedField()
    group = IndexedField()
    weight = FloatField(null=True)
    worth = SortedField(type=float, default=1.0)
    one = SortedField(type=float, default=0.0)
    other = SortedField(type=float, default=0.0)
    third = SortedField(type=float, default=0.0)
    fourth = SortedField(type=float, default=0.0)
    aged = DecayingSortedField(decay_rate=0.5, base_score_field="weight")


class Turned(SortedField[float]):
    """Ordered the other way round, so that the order does not tell the numbers."""

    def score(self, value: Any) -> float | None:
        return -float(value)


class Kept(Model):
    name = KeyField()
    worth = Turned(type=float)
    aged = DecayingSortedField()


class Placed(Model):
    name = KeyField()
    room = IndexedField()
    high = SortedField(type=float, partition_by="room")
    wide = SortedField(type=float, default=0.0)


def filled(count: int) -> list[Thing]:
    """Rows whose numbers are opposed, in pairs that add up to 1; some are the same."""
    dice = random.Random(11)
    found = []
    for number in range(count):
        one, third = dice.choice([0.5, dice.random()]), dice.random()
        row = Thing(
            name=f"t{number:03}",
            agent=dice.choice("ABC"),
            group=dice.choice(["few", "many", "many", "many"]),
            weight=dice.choice([None, math.nan, 1.0, -2.0, dice.uniform(0, 20)]),
            worth=dice.choice([1.0, 0.0, -3.0, dice.uniform(0, 20)]),
            one=one,
            other=1 - one,
            third=third,
            fourth=1 - third,
            aged=NOW - dice.choice([0.0, 0.001, 40.0, dice.uniform(0, 300)]) * DAY,
        )
        row.save(skip_auto_now=True)
        found.append(row)
    return found


@pytest.fixture
def things(store: Connection) -> list[Thing]:
    """Rows beside one that is gone, entries of no row, and numbers of another writer's, one of them no row's."""
    found = filled(140)
    plain = store.native
    plain.delete("Thing:t007")
    plain.zadd("$SortF:Thing:one", {"Thing:none": 7.0, "Other:t001": math.inf, "Thing:t010": math.inf})
    plain.zadd("$SortF:Thing:other", {"Thing:t010": -math.inf, "Thing:t011": math.inf, "Thing:t012": -1e300})
    plain.zadd("$SortF:Thing:third", {"Thing:t012": 1e300, "Thing:t013": 1e17})
    return [row for row in found if row.name != "t007"]


def stored(store: Connection, name: str) -> dict[str, float]:
    return {key.decode(): score for key, score in store.native.zrange(f"$SortF:Thing:{name}", 0, -1, withscores=True)}


def added(parts: list[float], aggregate: str) -> float:
    if aggregate != "SUM":
        return min(parts) if aggregate == "MIN" else max(parts)
    total = parts[0]
    for part in parts[1:]:
        total = 0.0 if math.isnan(total + part) else total + part
    return total


def ranked(store: Connection, keys: list[str], weights: dict[str, float], aggregate: str) -> list[tuple[str, float]]:
    numbers = {name: stored(store, name) for name in weights}
    found = []
    for key in keys:
        parts = [weight * numbers[name][key] for name, weight in weights.items() if key in numbers[name]]
        parts = [0.0 if math.isnan(part) else part for part in parts]
        if parts:
            found.append((key, added(parts, aggregate)))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


NARROWED: dict[str, Any] = {
    "all": (lambda query: query, lambda row: True),
    "group": (lambda query: query.filter(group="few"), lambda row: row.group == "few"),
    "most": (lambda query: query.filter(group="many"), lambda row: row.group == "many"),
    "either": (
        lambda query: query.filter(agent__in=["A", "B"], group="few"),
        lambda row: row.agent in "AB" and row.group == "few",
    ),
    "range": (lambda query: query.filter(worth__gte=1.0), lambda row: row.worth >= 1.0),
    "names": (
        lambda query: query.filter(name__in=[f"t{number:03}" for number in range(0, 140, 3)]),
        lambda row: int(row.name[1:]) % 3 == 0,
    ),
    "text": (lambda query: query.filter(name__endswith="5"), lambda row: row.name.endswith("5")),
    "not": (lambda query: query.exclude(agent="A"), lambda row: row.agent != "A"),
}
WEIGHTS = st.lists(st.sampled_from([1.0, 1.0, 0.4, 0.1, -0.3, 0.0]), min_size=4, max_size=4)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Sets how much one step looks up, and how many candidates are few."""

    def set_steps(numbers: int, few: int) -> None:
        monkeypatch.setattr(rank, "MOST_NUMBERS", numbers)
        monkeypatch.setattr(rank, "FEW", few)
        monkeypatch.setattr(rank, "STEPS", (2, 8))

    yield set_steps


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_opposed_signals_are_added_up_as_in_plain_python(
    store: Connection, things: list[Thing], steps: Any, data: Any
) -> None:
    steps(data.draw(st.sampled_from([40, 150, 700, 40_000]), label="numbers"), data.draw(st.sampled_from([0, 50])))
    names = data.draw(st.lists(st.sampled_from(SIGNALS), min_size=1, max_size=4, unique=True), label="signals")
    weights = dict(zip(names, data.draw(WEIGHTS, label="weights"), strict=False))
    aggregate = data.draw(st.sampled_from(["SUM", "SUM", "SUM", "MIN", "MAX"]), label="aggregate")
    narrow, holds = NARROWED[data.draw(st.sampled_from(sorted(NARROWED)), label="filter")]
    # Rows without a number: where all signals lack some, no order has every row.
    lacking = data.draw(st.sampled_from([(), ("one",), SIGNALS]), label="lacking")
    for name in lacking:
        store.native.zrem(f"$SortF:Thing:{name}", *(f"Thing:t{number:03}" for number in range(len(name), 140, 4)))
    try:
        wanted = ranked(store, [row.pk for row in things if holds(row)], weights, aggregate)
        most = data.draw(st.sampled_from([1, 3, 20, 139, 200]), label="most")
        least = data.draw(st.sampled_from([None, None, 0.5, wanted[len(wanted) // 2][1]]), label="least")
        if least is not None:
            least = max(min(least, 1e308), -1e308)
            wanted = [pair for pair in wanted if pair[1] >= least]
        found = narrow(Thing.query).composite_score(weights, most, aggregate, least, explain=True)
        assert [(hit.key, hit.score) for hit in found] == wanted[:most]
    finally:
        for name in lacking:
            scores = {row.pk: getattr(row, name) for row in things}
            store.native.zadd(f"$SortF:Thing:{name}", scores, nx=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_base_ranks_as_in_plain_python(store: Connection, things: list[Thing], steps: Any, data: Any) -> None:
    steps(data.draw(st.sampled_from([40, 150, 40_000]), label="numbers"), data.draw(st.sampled_from([0, 50])))
    base = data.draw(st.sampled_from(["worth", "fourth", "weight"]), label="base")
    rate = data.draw(st.sampled_from([0.5, 0.0, -0.1]), label="rate")
    narrow, holds = NARROWED[data.draw(st.sampled_from(sorted(NARROWED)), label="filter")]
    most = data.draw(st.sampled_from([1, 3, 20, 200]), label="most")
    wanted = {}
    for row in filter(holds, things):
        value = getattr(row, base)
        factor = max((NOW - row.aged) / DAY, 0.01) ** -rate
        wanted[row.pk] = (1.0 if value is None or math.isnan(value) else value) * factor
    found = narrow(Thing.query).top_by_decay("aged", most, rate, base, now=NOW, explain=True)
    scores = [hit.score for hit in found]
    assert scores == pytest.approx(sorted(wanted.values(), reverse=True)[:most], rel=1e-12, abs=1e-12)
    assert [wanted[hit.key] for hit in found] == pytest.approx(scores, rel=1e-12, abs=1e-12)
    assert len({hit.key for hit in found}) == len(found)


def test_a_walk_in_vain_looks_at_each_row_once(fake: Connection, steps: Any) -> None:
    filled(140)
    steps(200, 5)
    weights = dict.fromkeys(SIGNALS, 1.0)
    with round_trips() as trips:
        found = Thing.query.composite_score(weights, limit=3)
    assert len(found) == 3
    # Two steps in vain; 140 rows, each read, judged and three numbers of it looked up; and the rows that were found.
    assert trips.count <= 2 + math.ceil(140 * 5 / 200) + 1


def test_a_filter_of_some_rows_looks_at_no_others(fake: Connection, steps: Any) -> None:
    few = sum(row.group == "few" for row in filled(140))
    steps(200, 5)
    with round_trips() as trips:
        Thing.query.filter(group="few").composite_score(dict.fromkeys(SIGNALS, 1.0), limit=3)
    assert trips.count <= 1 + math.ceil(few * 6 / 200) + 1


def test_a_sorted_field_as_base_bounds_the_walk(store: Connection, steps: Any) -> None:
    filled(140)
    steps(100, 5)
    with round_trips() as trips:
        best = Thing.query.top_by_decay("aged", 1, base_score_field="fourth", now=NOW)
    wanted = max(Thing.query, key=lambda row: row.fourth * max((NOW - row.aged) / DAY, 0.01) ** -0.5)
    assert ([row.name for row in best], trips) == ([wanted.name], 1)


def test_bases_that_some_rows_lack_in_the_index_are_read_from_the_rows(store: Connection, plain: Any) -> None:
    rows = filled(30)
    best = max(rows, key=lambda row: row.fourth * max((NOW - row.aged) / DAY, 0.01) ** -0.5)
    assert plain.zrem("$SortF:Thing:fourth", best.pk) == 1
    found = Thing.query.top_by_decay("aged", 1, base_score_field="fourth", now=NOW)
    assert [row.name for row in found] == [best.name]
    # As many entries as rows say nothing where one is of no row.
    plain.zadd("$SortF:Thing:fourth", {"Thing:none": 0.0})
    plain.srem("$Class:Thing", "Thing:none")
    with round_trips() as trips:
        assert len(Thing.query.top_by_decay("aged", 1, base_score_field="fourth", now=NOW)) == 1
    assert trips == 1


def test_an_order_that_is_not_of_the_numbers_is_no_base(store: Connection, plain: Any) -> None:
    for number in range(5):
        Kept(name=str(number), worth=float(number), aged=NOW).save(skip_auto_now=True)
    assert plain.zscore("$TurnF:Kept:worth", "Kept:3") == -3.0
    assert [row.name for row in Kept.query.top_by_decay("aged", 2, base_score_field="worth", now=NOW)] == ["4", "3"]


def test_many_rows_of_one_score_are_told_by_their_keys(store: Connection) -> None:
    Thing.bulk_create(
        [Thing(name=f"t{number:03}", agent="A", group="many", aged=NOW - number) for number in range(300)]
    )
    for weights in ({"aged": 1.0}, {"one": 1.0}, {"one": 1.0, "aged": -1.0}, {"aged": 0.5, "other": 1.0}):
        found = Thing.query.composite_score(weights, limit=3, now=NOW + 60)
        assert [row.name for row in found] == ["t000", "t001", "t002"]


def test_partitions_of_several_spellings_are_all_looked_at(store: Connection, plain: Any, steps: Any) -> None:
    for number in range(40):
        room = "None" if number % 2 else "x"
        Placed.create(name=f"p{number:02}", room=room, high=number / 40, wide=1 - number / 40)
    # 1.x spelled the text None as it spelled None.
    moved = {f"Placed:p{number:02}": number / 40 for number in range(1, 40, 4)}
    assert plain.zrem("$SortF:Placed:high:/None", *moved) == 10
    plain.zadd("$SortF:Placed:high:None", moved)
    for numbers in (30, 40_000):
        steps(numbers, 2)
        found = Placed.query.filter(room="None").composite_score({"high": 1.0, "wide": 0.9}, limit=4)
        assert [row.name for row in found] == ["p39", "p37", "p35", "p33"]
        found = Placed.query.filter(room="None").composite_score({"high": 1.0, "wide": 1.0}, limit=40, explain=True)
        assert sorted(hit.row.name for hit in found) == [f"p{number:02}" for number in range(1, 40, 2)]


def test_orders_that_are_others_in_the_next_step_begin_anew(
    store: Connection, plain: Any, things: list[Thing], steps: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(60, 5)
    calls = []
    made = rank.Search._call

    def call(self: Any, *words: Any) -> Any:
        calls.append(words)
        if len(calls) == 2:
            # Without the bases, which are in the rows too, one order is gone.
            assert plain.delete("$DecayBase:Thing:aged") == 1
        return made(self, *words)

    monkeypatch.setattr(rank.Search, "_call", call)
    weights = {"aged": 0.001, "third": 1.0, "fourth": 1.0}
    found = [row.name for row in Thing.query.composite_score(weights, limit=5, now=NOW)]
    assert len(calls) > 2
    monkeypatch.undo()
    assert found == [row.name for row in Thing.query.composite_score(weights, limit=5, now=NOW)]
