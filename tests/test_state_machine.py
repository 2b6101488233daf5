"""Any sequence of operations leaves just the rows and index entries that a plain dictionary of rows would have.

POPOTO_STEPS sets how many steps are tried, each time others; without it the same few are.
"""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, rule, run_state_machine_as_test
from oracle import DEFAULTS, VALUES, Handle, Key, Oracle, Row, canonical
from servers import Servers
from stored import entries, spelled_by_1x

from popoto import ModelException, StaleObjectError
from popoto.storage import Connection, reset, set_connection

WANTED = int(os.environ.get("POPOTO_STEPS", "0"))
EXAMPLES = 15
STEPS = 25
NAMES = st.sampled_from(["a", "b:c", "None", "{&#58;}"])
NUMBERS = st.sampled_from([0, -1])
CHANGES = st.fixed_dictionaries({}, optional=VALUES)
# Equal Decimals of 1.x were in a set for each text, and are found by that text alone: 1.10 is not found as 1.1.
OLD_MONEY = st.sampled_from([None, Decimal("1.1"), Decimal("-0"), Decimal("1E+30")])
CODES = st.lists(VALUES["code"], min_size=3, max_size=3)
BULK = st.fixed_dictionaries(
    {"text": VALUES["text"]}, optional={name: VALUES[name] for name in ("kind", "money", "place")}
)


class Machine(Oracle):
    """The rules."""

    handles = Bundle("handles")

    @rule(target=handles, name=NAMES, number=NUMBERS, values=CHANGES, code=VALUES["code"], update=st.booleans())
    def create(self, name: str, number: int, values: dict[str, Any], code: str, update: bool) -> Handle:
        values = {"code": code} | values
        row = Row(name=name, number=number, **values)
        handle = Handle(row, None)
        key = (name, number)
        refusal = ModelException if self.taken(key, values["code"]) else None
        if self.expect(lambda: row.save(update_fields=["kind"] if update else None), refusal):
            self.put(key, DEFAULTS | values)
            handle.stored, handle.known = key, dict(self.rows[key])
        return handle

    @rule(target=handles, name=NAMES, number=NUMBERS, way=st.sampled_from(["get", "filter", "load"]))
    def load(self, name: str, number: int, way: str) -> Handle:
        key = (name, number)
        if way == "filter":
            row = next(iter(Row.query.filter(name=name, number=number)), None)
        elif way == "get":
            row = Row.query.get(name=name, number=number)
        else:
            row = Row.load(name=name, number=number)
        assert (row is not None) == (key in self.rows)
        if row is None:
            return Handle(Row(name=name, number=number, code="1"), None)
        return Handle(row, key, dict(self.rows[key]))

    @rule(handle=handles, values=CHANGES, partial=st.booleans())
    def save(self, handle: Handle, values: dict[str, Any], partial: bool) -> None:
        if partial and not values:
            return
        self.assign(handle, values)
        self.write(handle, list(values) if partial else None)

    @rule(handle=handles, name=NAMES, number=NUMBERS, values=CHANGES)
    def rename(self, handle: Handle, name: str, number: int, values: dict[str, Any]) -> None:
        row, stored = handle.row, handle.stored
        old = (row.name, row.number)
        self.assign(handle, values)
        if stored is None:
            row.name, row.number = name, number
            self.write(handle, None)
            return
        row.name, row.number = name, number
        key = (name, number)
        if key == stored:
            self.write(handle, None)
            return
        refusal, effect = self.planned(handle, None)
        if refusal is None and key in self.rows:
            refusal = ModelException
        if self.expect(lambda: row.save(migrate_key=True), refusal):
            effect()
            self.put(key, self.rows.pop(stored))
            self.places.pop(stored, None)
            handle.stored = key
        else:
            row.name, row.number = old

    @rule(handle=handles)
    def delete(self, handle: Handle) -> None:
        key = handle.stored or (handle.row.name, handle.row.number)
        known = handle.stored is None or self.there(handle)
        assert handle.row.delete() == (known and self.rows.pop(key, None) is not None)
        if known:
            self.places.pop(key, None)
        handle.stored = None

    @rule(handle=handles, values=CHANGES, own=st.booleans())
    def save_in_a_pipeline(self, handle: Handle, values: dict[str, Any], own: bool) -> None:
        self.assign(handle, values)
        pipe = self.connection.pipeline() if own else self.connection.native.pipeline()
        self.write(handle, None, pipe)

    @rule(handle=handles, values=CHANGES, own=st.booleans(), deletes=st.booleans())
    def drop_a_pipeline(self, handle: Handle, values: dict[str, Any], own: bool, deletes: bool) -> None:
        self.assign(handle, values)
        pipe = self.connection.pipeline() if own else self.connection.native.pipeline()
        if deletes:
            handle.row.delete(pipeline=pipe)
        else:
            handle.row.save(pipeline=pipe)
        pipe.reset()

    @rule()
    def speak_through_the_other_client(self) -> None:
        self.clients.reverse()
        set_connection(self.clients[0])

    @rule(name=NAMES, number=NUMBERS, values=CHANGES, code=VALUES["code"])
    def get_or_create(self, name: str, number: int, values: dict[str, Any], code: str) -> None:
        key, values = (name, number), {"code": code} | values
        there = key in self.rows
        refusal = ModelException if not there and self.taken(key, values["code"]) else None
        made: list[Any] = []
        work = lambda: made.extend(Row.get_or_create(defaults=values, name=name, number=number))  # noqa: E731
        if self.expect(work, refusal):
            assert made[1] is not there
            if not there:
                self.put(key, DEFAULTS | values)

    @rule(keys=st.lists(st.tuples(NAMES, NUMBERS), unique=True, max_size=3), values=CHANGES, codes=CODES)
    def bulk_create(self, keys: list[Key], values: dict[str, Any], codes: list[str]) -> None:
        made = [Row(name=name, number=number, **values | {"code": codes[at]}) for at, (name, number) in enumerate(keys)]
        wrong = 0
        for key, code in zip(keys, codes, strict=False):
            if self.taken(key, code):
                wrong += 1
            else:
                self.put(key, DEFAULTS | values | {"code": code})
        self.expect(lambda: Row.bulk_create(made), ModelException if wrong else None)

    @rule(kind=VALUES["kind"], values=BULK, way=st.sampled_from(["bulk", "query"]))
    def bulk_update(self, kind: Any, values: dict[str, Any], way: str) -> None:
        chosen = [row for row in self.rows.values() if row["kind"] == kind]
        found = Row.query.filter(kind=kind)
        assert (Row.bulk_update(found, **values) if way == "bulk" else found.update(**values)) == len(chosen)
        for row in chosen:
            row.update(values)

    @rule(kind=VALUES["kind"], way=st.sampled_from(["bulk", "query"]))
    def bulk_delete(self, kind: Any, way: str) -> None:
        chosen = [key for key, row in self.rows.items() if row["kind"] == kind]
        found = Row.query.filter(kind=kind)
        assert (Row.bulk_delete(found) if way == "bulk" else found.delete()) == len(chosen)
        for key in chosen:
            del self.rows[key]
            self.places.pop(key, None)

    @rule(handle=handles, one=st.sampled_from([("place", 5), ("place", -(2**40)), ("rank", 0.5), ("rank", -1.25)]))
    def increment(self, handle: Handle, one: tuple[str, Any]) -> None:
        name, delta = one
        refusal = TypeError if handle.stored is None else None if self.there(handle) else StaleObjectError
        if self.expect(lambda: handle.row.atomic_increment(name, delta), refusal):
            row = self.rows[handle.stored]  # type: ignore[index]
            row[name] += delta
            handle.known[name] = row[name]
            assert getattr(handle.row, name) == row[name]

    @rule(handle=handles)
    def expire(self, handle: Handle) -> None:
        """A row with a time to live, at its end: the server has dropped the hash, and only the ledger knows."""
        if not self.there(handle):
            return
        fresh = Row.load(db_key=handle.row.pk)
        fresh._ttl = 1000
        fresh.save()
        self.plain.delete(fresh.pk)
        self.plain.zadd("$Exp:Row", {fresh.pk: 1.0})
        self.places.pop(handle.stored, None)  # type: ignore[arg-type]
        del self.rows[handle.stored]  # type: ignore[arg-type]

    @rule()
    def rebuild(self) -> None:
        assert Row.rebuild_indexes() == len(self.rows)
        self.places.clear()
        self.old.clear()
        assert Row.check_indexes()["total"] == 0

    @rule(
        name=st.sampled_from(["old", "None", "{&#58;}"]), number=NUMBERS, code=VALUES["code"], kind=VALUES["kind"],
        money=OLD_MONEY,
    )  # fmt: skip
    def write_an_old_row(self, name: str, number: int, code: str, kind: str | None, money: Decimal | None) -> None:
        """A row and its entries as 1.x wrote them, where no other has its key or unique value."""
        key = (name, number)
        place = ":".join(["Row", *map(spelled_by_1x, key)])
        if key in self.rows or self.taken(None, code) or self.plain.exists(place):
            return
        if self.plain.zscore("$Exp:Row", place) is not None:
            # 1.x keeps no ledger: an expired row of ours would take the new one's entries with it.
            Row.clean_indexes()
        values = {**DEFAULTS, "code": code, "kind": kind, "place": 3, "money": money}
        stored = {
            one: Row._meta.fields[one].encode(value)
            for one, value in {"name": name, "number": number, **values}.items()
        }
        self.plain.hset(place, mapping=stored)
        for index, member, score in entries(Row, place.encode(), self.plain.hgetall(place), spelled_by_1x):
            if index.startswith(b"$Vals"):
                continue  # 1.x lists no values.
            self.plain.sadd(index, member) if score is None else self.plain.zadd(index, {member: score})
        self.rows[key] = values
        self.old.add(place.encode())
        if place != canonical(key):
            self.places[key] = place

    @rule(name=NAMES, number=NUMBERS)
    def leave_stale_entries_of_1x(self, name: str, number: int) -> None:
        """Nothing follows from them: they find nothing, and a cleaning takes just them away."""
        place = self.places.get((name, number), canonical((name, number)))
        # What an expired row leaves is the ledger's affair: check_indexes() counts no entry of it.
        expired = self.plain.zscore("$Exp:Row", place) is not None and not self.plain.exists(place)
        members = {"Row:ghost:0", "Row:ghost:1" if expired else place}
        for member in members:
            self.plain.sadd("$IndexF:Row:kind:ghost", member)
            self.plain.sadd("$UniquF:Row:code:ghost", member)
            self.plain.zadd("$SortF:Row:place:ghost:None", {member: 3})
        for keywords in ({"kind": "ghost"}, {"code": "ghost"}, {"kind": "ghost", "flag": None, "place": 3}):
            assert Row.query.filter(**keywords).all() == []
            assert Row.query.count(**keywords) == 0
        assert Row.check_indexes()["total"] == Row.clean_indexes() == 6


@pytest.mark.parametrize("name", ["fake", pytest.param("redis-6.2", marks=pytest.mark.server)])
@pytest.mark.timeout(0 if WANTED else 600)
def test_any_sequence_of_operations_agrees_with_a_dictionary(name: str, servers: Servers):
    url = "fake://machine" if name == "fake" else servers.url(name)
    connection, second = Connection(url), Connection(url)
    before = set_connection(connection)
    kind = type("Bound", (Machine,), {"connection": connection, "second": second})
    try:
        while kind.steps == 0 or kind.steps < WANTED:
            run_state_machine_as_test(
                kind,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    derandomize=not WANTED,
                    # The first failure is wanted at once: the shortest takes minutes to find.
                    phases=[Phase.generate],
                    database=None,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            print(f"{name}: {kind.steps} steps", flush=True)
    finally:
        reset()
        if before is not None:
            set_connection(before)
