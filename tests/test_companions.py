"""State beside rows: written, moved, dropped and looked after in the steps that change the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from stored import keyspace

from popoto import Field, KeyField, Model, StaleObjectError, clock, round_trips
from popoto.exceptions import ReplyError
from popoto.fields.companions import Action, Companion, Condition, Fragment, Store
from popoto.storage import Connection

TALLY = Fragment("tally", "rooms", "tally.lua")


class Tally(Field[str]):
    """A field with a companion."""

    def companions(self, model_name: str) -> Sequence[Companion]:
        base = f"$Tally:{model_name}:{self.name}"
        stores = (Store("H", base), Store("Z", base, ":sum"), Store("K", f"$TallyOwn:{model_name}"))
        said = lambda instance, change: (change.values.get(self.name) and (instance.note or "",)) or None  # noqa: E731
        return [Companion(TALLY, self.name, stores, ("place",), settled=("!", f"$Gone:{model_name}"), said=said)]


class Visit(Model):
    name = KeyField()
    place = Field()
    note = Tally()

    class Meta:
        ttl = None


def beside(plain: Any) -> dict[bytes, Any]:
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$Tally")}


def kept(place: str, name: str, count: int, last: str, total: float | None = None) -> dict[bytes, Any]:
    key = f"Visit:{name}".encode()
    found: dict[bytes, Any] = {
        f"$Tally:Visit:note:{place}".encode(): {key: str(count).encode()},
        b"$TallyOwn:Visit:" + key: {b"last": last.encode()},
    }
    return found | ({f"$Tally:Visit:note:{place}:sum".encode(): {key: total}} if total is not None else {})


def added(visit: Visit, amount: int) -> list[Any]:
    found: list[Any] = visit._run(visit._acting([Action("note", "add", (amount,))]))
    return found


def test_a_save_tells_the_companion_what_it_has_to_say(store: Connection, plain: Any) -> None:
    with round_trips() as trips:
        visit = Visit.create(name="a", place="x:1", note="n")
        visit.note = "m"
        visit.save()
        visit.save()
    assert (beside(plain), trips) == (kept("x{&#58;}1", "a", 2, "m!update"), 3)


def test_actions_are_one_step_on_a_row_that_is_there(store: Connection, plain: Any) -> None:
    visit = Visit.create(name="a", place="x", note="n")
    with round_trips() as trips:
        assert added(visit, 3) == [b"3"]
    assert (beside(plain), trips) == (kept("x", "a", 1, "n!create", 3.0), 1)
    visit.delete()
    with pytest.raises(StaleObjectError, match="is not stored"):
        added(visit, 1)


def test_an_action_may_depend_on_what_one_before_it_noted(store: Connection, plain: Any) -> None:
    visit = Visit.create(name="a", place="x", note="n")

    def add(amount: int, **when: float) -> Action:
        return Action("note", "add", (amount,), Condition("sum", **when) if when else None)

    def replies(*actions: Action) -> list[Any]:
        found: list[Any] = visit._run(visit._acting(actions))
        return found

    assert replies(add(1, most=5), add(1)) == [None, b"1"]
    assert replies(add(1), add(10, above=2), add(10, above=1, most=2), add(10, most=11)) == [b"2", None, b"12", None]
    assert replies(Action("note", "stop"), add(1), add(1, above=0)) == [b"stopped", None, None]
    assert plain.zscore("$Tally:Visit:note:x:sum", "Visit:a") == 12


def test_a_fragment_sees_what_was_kept_as_a_row_leaves(store: Connection, plain: Any) -> None:
    visit = Visit.create(name="a", place="x", note="n")
    added(visit, 99)
    visit.delete()
    assert keyspace(plain) == {b"$Gone:Visit": {b"Visit:a", b"ninety-nine Visit:a"}}


def test_a_refusal_leaves_everything_as_it_was(store: Connection, plain: Any) -> None:
    Visit.create(name="a", place="x", note="n")
    before = keyspace(plain)
    with pytest.raises(ReplyError, match="TALLY note"):
        Visit.create(name="b", place="x", note="refuse")
    assert keyspace(plain) == before


def test_a_renamed_row_takes_its_companions_along(store: Connection, plain: Any) -> None:
    visit = Visit.create(name="a", place="x", note="n")
    added(visit, 2)
    visit.name = "b"
    visit.save(migrate_key=True)
    assert beside(plain) == kept("x", "b", 1, "n!create", 2.0)


def test_a_row_in_another_partition_takes_its_companions_along(store: Connection, plain: Any) -> None:
    added(Visit.create(name="a", place="x", note="n"), 2)
    # Another instance, which knows nothing of the first.
    stale = Visit.load(name="a")
    assert stale is not None
    stale.place = None
    stale.save()
    assert beside(plain) == kept("None", "a", 1, "n!create", 2.0)


def test_a_deleted_row_leaves_nothing(store: Connection, plain: Any) -> None:
    visit = Visit.create(name="a", place="x", note="n")
    added(visit, 2)
    visit.delete()
    assert keyspace(plain) == {b"$Gone:Visit": {b"Visit:a"}}


def test_a_row_that_expired_leaves_nothing_once_another_is_saved(store: Connection, plain: Any) -> None:
    visit = Visit.create(name="a", place="x", note="n", _ttl=1000)
    added(visit, 2)
    plain.delete("Visit:a")
    with clock.frozen(lambda: 4e9):
        Visit.create(name="b", place="y", note="n")
    assert beside(plain) == kept("y", "b", 1, "n!create")
    assert set(plain.smembers("$Gone:Visit")) == {b"Visit:a"}


def test_care_finds_and_clears_what_no_row_has(store: Connection, plain: Any) -> None:
    added(Visit.create(name="a", place="x", note="n"), 2)
    added(Visit.create(name="b", place="y", note="n"), 2)
    good = keyspace(plain)
    assert Visit.check_indexes()["total"] == 0
    plain.hset("$Tally:Visit:note:x", "Visit:b", "7")
    plain.zadd("$Tally:Visit:note:z:sum", {"Visit:gone": 1})
    plain.hset("$TallyOwn:Visit:Visit:lost", "last", "x")
    assert Visit.check_indexes()["companions"] == {"note": 3}
    assert Visit.clean_indexes() == 3
    assert keyspace(plain) == good | {b"$Gone:Visit": {b"Visit:gone", b"Visit:lost"}}
    assert Visit.rebuild_indexes() == 2
    assert Visit.check_indexes()["total"] == 0
