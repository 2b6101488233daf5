"""CyclicDecayField: cycles and pressure beside the row, what it learns, and that it keeps that."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from threading import Thread
from typing import Any

import msgpack
import pytest
from stored import keyspace

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    CyclicDecayField,
    DecayingSortedField,
    KeyField,
    Model,
    ModelException,
    ObservationProtocol,
    StaleObjectError,
    TemporalPeriod,
    clock,
    round_trips,
)
from popoto.storage import Connection

DAY = 86_400.0
NOW = 1_795_344_718.28
CYCLES = ((TemporalPeriod.DAILY, 2, 0), (TemporalPeriod.WEEKLY, 3, 3600))
Z = "$CyclicDecayF:Directive:rel:p1"


class Directive(Model):
    name = KeyField()
    place = KeyField()
    rel = CyclicDecayField(decay_rate=0.5, cycles=CYCLES, pressure_rate=0.1, partition_by="place")
    calm = CyclicDecayField(cycles=[(100, 2)])
    fresh = DecayingSortedField()


def at(moment: float) -> Any:
    return clock.frozen(lambda: moment)


def made(name: str = "a", place: str = "p1", days: float = 5) -> Directive:
    with at(NOW - days * DAY):
        return Directive.create(name=name, place=place)


def amplitudes(plain: Any, key: str = f"{Z}:cycles", member: str = "Directive:a:p1") -> list[float]:
    raw = plain.hget(key, member)
    return [] if raw is None else [cycle[1] for cycle in msgpack.unpackb(raw)]


def pressure(plain: Any, key: str = f"{Z}:pressure", member: str = "Directive:a:p1") -> Any:
    raw = plain.hget(key, member)
    return None if raw is None else msgpack.unpackb(raw)


def test_a_save_stores_cycles_and_pressure_as_1x_did(store: Connection, plain: Any) -> None:
    made()
    assert msgpack.unpackb(plain.hget(f"{Z}:cycles", "Directive:a:p1")) == [[86400, 2, 0], [604800, 3, 3600]]
    assert pressure(plain) == {"rate": 0.1, "last_resolved": pytest.approx(NOW - 5 * DAY, abs=1e-3)}
    assert plain.hgetall("$CyclicDecayF:Directive:calm:pressure") == {}


def test_the_golden_score(store: Connection) -> None:
    row = made()
    row.rel = NOW - 4 * DAY
    row.save(skip_auto_now=True)
    (hit,) = Directive.query.filter(place="p1").top_by_decay("rel", now=NOW, explain=True)
    resonance = sum(a * math.cos(2 * math.pi * (NOW - phase) / period) for period, a, phase in CYCLES)
    assert hit.score == pytest.approx(0.5 + resonance + 0.5, abs=1e-9)
    # The clock of the golden value was rounded to a hundredth of a second.
    assert hit.score == pytest.approx(-3.90298884, abs=2e-6)


def test_amplitudes_are_multiplied_within_their_bounds(store: Connection, plain: Any) -> None:
    row = made()
    with round_trips() as trips:
        found = [
            row.strengthen_cycle("calm")[0][1],
            row.strengthen_cycle("calm", factor=1.5)[0][1],
            row.weaken_cycle("calm")[0][1],
            row.strengthen_cycle("calm", 1000)[0][1],
            row.weaken_cycle("calm", 0.00009)[0][1],
            row.strengthen_cycle("calm", 10)[0][1],
        ]
    assert (found, trips) == (pytest.approx([2.4, 3.6, 2.88, 100.0, 0.0, 0.0]), 6)
    assert amplitudes(plain, "$CyclicDecayF:Directive:calm:cycles") == [0.0]
    assert asyncio.run(row.async_strengthen_cycle("rel", -1)) == [(86400.0, 0.0, 0.0), (604800.0, 0.0, 3600.0)]
    assert asyncio.run(row.async_weaken_cycle("rel")) == [(86400.0, 0.0, 0.0), (604800.0, 0.0, 3600.0)]


def test_saves_keep_what_was_learned(store: Connection, plain: Any) -> None:
    # D13: 1.x wrote the cycles of the class at every save.
    row = made()
    row.strengthen_cycle("rel", 2)
    row.save()
    Directive.create(name="a", place="p1")
    Directive.rebuild_indexes()
    assert amplitudes(plain) == [4.0, 6.0]
    assert pressure(plain)["last_resolved"] == pytest.approx(NOW - 5 * DAY, abs=1e-3)


def test_what_was_not_learned_follows_the_class(store: Connection, plain: Any, monkeypatch: Any) -> None:
    made("a")
    made("b").strengthen_cycle("rel", 2)

    class Next(Model):
        name = KeyField()
        place = KeyField()
        rel = CyclicDecayField(cycles=[(50, 1.0)], pressure_rate=0.0, partition_by="place")

    plain.rename("$Class:Directive", "$Class:Next")
    for key in list(plain.keys()):
        name = key.decode()
        if "Directive" in name and not name.startswith("$Class"):
            plain.rename(name, name.replace("Directive", "Next"))
    for store_name in ("$CyclicDecayF:Next:rel:p1:cycles", "$CyclicDecayF:Next:rel:p1:pressure"):
        for member, raw in plain.hgetall(store_name).items():
            plain.hdel(store_name, member)
            plain.hset(store_name, member.replace(b"Directive", b"Next"), raw)
    for store_name in ("$CyclicShape", "$CyclicWait", "$CyclicRate"):
        for member, score in plain.zrange(f"{store_name}:Next:rel:p1", 0, -1, withscores=True):
            plain.zrem(f"{store_name}:Next:rel:p1", member)
            plain.zadd(f"{store_name}:Next:rel:p1", {member.replace(b"Directive", b"Next"): score})
    assert Next.rebuild_indexes() == 2
    key = "$CyclicDecayF:Next:rel:p1:cycles"
    assert amplitudes(plain, key, "Next:a:p1") == [1.0]
    assert amplitudes(plain, key, "Next:b:p1") == [4.0, 6.0]
    assert plain.exists("$CyclicDecayF:Next:rel:p1:pressure", "$CyclicRate:Next:rel:p1") == 0


def test_rows_move_and_are_renamed_with_what_they_learned(store: Connection, plain: Any) -> None:
    # D15, D16: 1.x left entries behind, and a renamed row began anew.
    row = made()
    row.strengthen_cycle("rel", 3)
    row.name, row.place = "b", "p:2"
    row.save(migrate_key=True)
    moved = "$CyclicDecayF:Directive:rel:p{&#58;}2"
    assert amplitudes(plain, f"{moved}:cycles", "Directive:b:p{&#58;}2") == [6.0, 9.0]
    since = pressure(plain, f"{moved}:pressure", "Directive:b:p{&#58;}2")["last_resolved"]
    assert since == pytest.approx(NOW - 5 * DAY, abs=1e-3)
    assert plain.exists(f"{Z}:cycles", f"{Z}:pressure", "$CyclicShape:Directive:rel:p1") == 0
    assert Directive.check_indexes()["total"] == 0
    row.delete()
    assert keyspace(plain) == {}


def test_a_row_that_expired_leaves_nothing(store: Connection, plain: Any) -> None:
    row = Directive(name="a", place="p1", _ttl=1000)
    row.save()
    plain.delete("Directive:a:p1")
    with at(4e9):
        Directive.create(name="b", place="p2")
    assert plain.exists(f"{Z}:cycles", f"{Z}:pressure", "$CyclicRate:Directive:rel:p1") == 0


def test_pressure_is_resolved_in_one_step(store: Connection, plain: Any) -> None:
    row = made()
    with at(NOW), round_trips() as trips:
        assert row.resolve_pressure("rel") == pytest.approx(NOW, abs=1e-3)
    assert trips == 1
    assert pressure(plain)["last_resolved"] == pytest.approx(NOW, abs=1e-3)
    with at(NOW + 9):
        row.save()
        assert asyncio.run(row.async_resolve_pressure("rel")) == pytest.approx(NOW + 9, abs=1e-3)


def test_verbs_wait_in_a_pipeline(store: Connection, plain: Any) -> None:
    row = made()
    pipe = store.pipeline()
    with at(NOW):
        assert row.strengthen_cycle("rel", pipeline=pipe) is pipe
        assert row.strengthen_cycle("rel", pipeline=pipe) is pipe
        assert row.resolve_pressure("rel", pipeline=pipe) is pipe
    assert amplitudes(plain) == [2.0, 3.0]
    pipe.execute()
    assert amplitudes(plain) == pytest.approx([2.88, 4.32])
    assert pressure(plain)["last_resolved"] == pytest.approx(NOW, abs=1e-3)


def test_concurrent_factors_lose_nothing(server: Connection, plain: Any) -> None:
    # D14: 1.x read, multiplied and wrote in the client.
    made()

    def work() -> None:
        row = Directive.load(name="a", place="p1")
        for _ in range(25):
            row.strengthen_cycle("rel", 1.01)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert amplitudes(plain) == pytest.approx([2 * 1.01**100, 3 * 1.01**100])


def test_entries_that_1x_wrote_are_read(store: Connection, plain: Any) -> None:
    made("a")
    # cmsgpack writes whole numbers as ints, and keys in any order.
    plain.hset(f"{Z}:cycles", "Directive:a:p1", msgpack.packb([[86400, 8, 0]]))
    plain.hset(f"{Z}:pressure", "Directive:a:p1", msgpack.packb({"last_resolved": 1_795_000_000, "rate": 2}))
    for name in ("$CyclicShape", "$CyclicWait", "$CyclicRate"):
        plain.delete(f"{name}:Directive:rel:p1")
    (hit,) = Directive.query.filter(place="p1").top_by_decay("rel", now=NOW, explain=True)
    swing = 8 * math.cos(2 * math.pi * NOW / DAY)
    assert hit.score == pytest.approx(5**-0.5 + swing + 2 * (NOW - 1_795_000_000) / DAY)
    hit.row.save(skip_auto_now=True)
    assert amplitudes(plain) == [8.0]
    plain.hset(f"{Z}:cycles", "Directive:a:p1", b"\xc1garbage")
    assert Directive.query.filter(place="p1").top_by_decay("rel", now=NOW) == [hit.row]


def test_touch_renews_the_decay_alone(store: Connection, plain: Any) -> None:
    row = made()
    before = pressure(plain)
    with at(NOW):
        row.touch("rel")
    assert (plain.zscore(Z, "Directive:a:p1"), pressure(plain), amplitudes(plain)) == (NOW, before, [2.0, 3.0])


def test_keys_of_the_companions(fake: Connection) -> None:
    row = made(place="p:2")
    assert CyclicDecayField.get_cycles_hash_key(row, "rel") == "$CyclicDecayF:Directive:rel:p{&#58;}2:cycles"
    assert CyclicDecayField.get_pressure_hash_key(row, "calm") == "$CyclicDecayF:Directive:calm:pressure"
    parts = CyclicDecayField.get_cycles_hash_key_from_parts(Directive, "rel", "p1", "p:2")
    assert parts == "$CyclicDecayF:Directive:rel:p1:p{&#58;}2:cycles"
    assert CyclicDecayField.get_pressure_hash_key_from_parts(Directive, "rel", "p1") == f"{Z}:pressure"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda row: row.resolve_pressure("calm"), TypeError, "pressure_rate 0"),
        (lambda row: row.resolve_pressure("fresh"), TypeError, "takes a CyclicDecayField"),
        (lambda row: row.strengthen_cycle("name"), TypeError, "takes a CyclicDecayField"),
        (lambda row: row.weaken_cycle("cal"), AttributeError, "did you mean 'calm'"),
        (lambda row: row.weaken_cycle("calm", "x"), TypeError, "must be a finite number"),
        (lambda row: Directive(name="n", place="p").weaken_cycle("calm"), TypeError, "not saved"),
    ],
)
def test_wrong_calls_are_refused(fake: Connection, call: Callable[[Any], Any], error: Any, message: str) -> None:
    row = made()
    with pytest.raises(error, match=message):
        call(row)
    row.delete()
    again = Directive._from_row("Directive:a:p1", [], [])
    with pytest.raises(StaleObjectError):
        again.strengthen_cycle("calm")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cycles": [(1,)]}, ModelException),
        ({"cycles": [(1, 2, 3, 4)]}, ModelException),
        ({"cycles": [(0, 1)]}, ModelException),
        ({"cycles": [(10, -1)]}, ModelException),
        ({"cycles": [("day", 1)]}, TypeError),
        ({"pressure_rate": -0.1}, ModelException),
        ({"pressure_rate": None}, TypeError),
        ({"decay_rate": 0}, ModelException),
    ],
)
def test_wrong_options_are_refused(options: Any, error: Any) -> None:
    with pytest.raises(error):
        CyclicDecayField(**options)


class Belief(AccessTrackerMixin, Model):
    name = KeyField()
    sure = ConfidenceField()
    rel = CyclicDecayField(cycles=[(DAY, 2.0)], pressure_rate=0.1)
    fresh = DecayingSortedField(base_score_field="sure")


@pytest.mark.parametrize(
    ("outcome", "age", "amplitude", "pressed"),
    [
        ("acted", 0, 2.4, 0),
        ("used", 10, 2.0, 10),
        ("dismissed", 10, 1.6, 10),
        ("deferred", 10, 2.0, 10),
        ("contradicted", 10, 1.0, 0),
    ],
)
def test_outcomes_act_in_one_step(
    store: Connection, plain: Any, outcome: str, age: float, amplitude: float, pressed: float
) -> None:
    with at(NOW - 10 * DAY):
        row = Belief.create(name="a")
    with at(NOW), round_trips() as trips:
        ObservationProtocol.on_context_used([row], {row.pk: outcome})
    assert trips == 1
    assert amplitudes(plain, "$CyclicDecayF:Belief:rel:cycles", "Belief:a") == [pytest.approx(amplitude)]
    since = pressure(plain, "$CyclicDecayF:Belief:rel:pressure", "Belief:a")["last_resolved"]
    assert (NOW - since) / DAY == pytest.approx(pressed, abs=1e-6)
    for name, key in (("rel", "$CyclicDecayF:Belief:rel"), ("fresh", "$DecayingSortF:Belief:fresh")):
        moment = plain.zscore(key, "Belief:a")
        assert (NOW - moment) / DAY == pytest.approx(age, abs=1e-6)
        assert (getattr(Belief.load(name="a"), name), getattr(row, name)) == (moment, moment)
