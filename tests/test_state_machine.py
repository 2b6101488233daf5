"""Any sequence of operations leaves just the rows and index entries that a plain dictionary of rows would have.

POPOTO_EXAMPLES sets how many sequences are tried.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from servers import Servers
from stored import keyspace, stray_entries

from popoto import (
    Field,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    SortedField,
    StaleObjectError,
    UniqueField,
)
from popoto.storage import Connection, reset, set_connection

EXAMPLES = int(os.environ.get("POPOTO_EXAMPLES", "25"))
STEPS = 25


class Row(Model):
    name = KeyField()
    number = KeyField(type=int)
    kind = IndexedField()
    flag = IndexedField(type=bool)
    money = IndexedField(type=Decimal)
    items = IndexedField(type=list)
    code = UniqueField()
    rank = SortedField(default=0.0)
    place = SortedField(type=int, default=0, partition_by=("kind", "flag"))
    text = Field()


NAMES = st.sampled_from(["a", "b:c", "None", "{&#58;}"])
NUMBERS = st.sampled_from([0, -1])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from([None, "x", "None", "y:z", "{&#58;}"]),
    "flag": st.sampled_from([None, True, False]),
    "money": st.sampled_from([None, Decimal("1.10"), Decimal("1.1"), Decimal("-0"), Decimal("1E+30")]),
    "items": st.sampled_from([None, [], [1], ["a:b"]]),
    "code": st.sampled_from(["1", "2", "3:", "None"]),
    "rank": st.sampled_from([0.0, -0.0, 1.5, -2.0, 1e300]),
    "place": st.sampled_from([0, 3, 2**60, 2**60 + 1]),
    "text": st.sampled_from([None, "t", "u"]),
}
CHANGES = st.fixed_dictionaries({}, optional=VALUES)
DEFAULTS = {"kind": None, "flag": None, "money": None, "items": None, "rank": 0.0, "place": 0, "text": None}
Key = tuple[str, int]


@dataclass
class Handle:
    """One instance, and what it believes to be stored."""

    row: Row
    stored: Key | None
    known: dict[str, Any] = field(default_factory=dict)


class Machine(RuleBasedStateMachine):
    """The rules."""

    connection: Connection
    handles = Bundle("handles")

    @initialize()
    def begin(self) -> None:
        self.plain = self.connection.native
        self.plain.flushall()
        self.rows: dict[Key, dict[str, Any]] = {}

    # -- what the oracle says

    def taken(self, key: Key | None, code: str) -> bool:
        return any(other != key and row["code"] == code for other, row in self.rows.items())

    def expect(self, work: Any, refusal: type[Exception] | None) -> bool:
        if refusal is None:
            work()
            return True
        with pytest.raises(refusal):
            work()
        return False

    # -- rules

    @rule(target=handles, name=NAMES, number=NUMBERS, values=CHANGES, code=VALUES["code"], update=st.booleans())
    def create(self, name: str, number: int, values: dict[str, Any], code: str, update: bool) -> Handle:
        values = {"code": code} | values
        row = Row(name=name, number=number, **values)
        handle = Handle(row, None)
        key = (name, number)
        refusal = ModelException if self.taken(key, values["code"]) else None
        if self.expect(lambda: row.save(update_fields=["kind"] if update else None), refusal):
            self.rows[key] = DEFAULTS | values
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

    def assign(self, handle: Handle, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(handle.row, name, value)

    def write(self, handle: Handle, names: list[str] | None, pipe: Any = None) -> None:
        """Save for good, alone or in a pipeline, and let the oracle do the same."""
        refusal, effect = self.planned(handle, names)
        if pipe is None:
            if self.expect(lambda: handle.row.save(update_fields=names), refusal):
                effect()
            return
        handle.row.save(pipeline=pipe, update_fields=names)
        (result,) = pipe.execute(raise_on_error=False)
        assert isinstance(result, Exception) == (refusal is not None), result
        if refusal is None:
            effect()

    def planned(self, handle: Handle, names: list[str] | None) -> tuple[type[Exception] | None, Any]:
        row, stored = handle.row, handle.stored
        current = {name: getattr(row, name) for name in VALUES}
        if stored is None:
            key = (row.name, row.number)

            def made() -> None:
                self.rows[key] = dict(current)
                handle.stored, handle.known = key, dict(current)

            return (ModelException if self.taken(key, current["code"]) else None), made
        considered = VALUES if names is None else names
        changed = {name: current[name] for name in considered if self.differs(current[name], handle.known[name])}
        if stored not in self.rows:
            return StaleObjectError, None
        if "code" in changed and self.taken(stored, changed["code"]):
            return ModelException, None

        def updated() -> None:
            self.rows[stored].update(changed)
            handle.known.update(changed)

        return None, updated

    @staticmethod
    def differs(one: Any, other: Any) -> bool:
        return repr(one) != repr(other)

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
            self.rows[key] = self.rows.pop(stored)
            handle.stored = key
        else:
            row.name, row.number = old

    @rule(handle=handles)
    def delete(self, handle: Handle) -> None:
        key = handle.stored or (handle.row.name, handle.row.number)
        assert handle.row.delete() == (self.rows.pop(key, None) is not None)
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

    @rule(name=st.sampled_from(["old"]), number=NUMBERS, code=VALUES["code"], kind=st.sampled_from([None, "x"]))
    def write_an_old_row(self, name: str, number: int, code: str, kind: str | None) -> None:
        """A row and its entries as 1.x wrote them, where no other has its key or unique value."""
        key = (name, number)
        if key in self.rows or self.taken(None, code):
            return
        values = {**DEFAULTS, "code": code, "kind": kind, "place": 3}
        redis_key = f"Row:{name}:{number}".replace("-", "/-")
        self.plain.hset(
            redis_key,
            mapping={one: msgpack.packb(value) for one, value in {"name": name, "number": number, **values}.items()},
        )
        spelled = code.replace(":", "{&#58;}")
        part = "None" if kind is None else kind
        numbered = str(number).replace("-", "/-")
        for index in (
            "$Class:Row", f"$KeyF:Row:name:{name}", f"$KeyF:Row:number:{numbered}", f"$IndexF:Row:kind:{part}",
            "$IndexF:Row:flag:None", "$IndexF:Row:money:None", "$IndexF:Row:items:None",
        ):  # fmt: skip
            self.plain.sadd(index, redis_key)
        self.plain.sadd(f"$UniquF:Row:code:{'/None' if code == 'None' else spelled}", redis_key)
        self.plain.zadd("$SortF:Row:rank", {redis_key: 0})
        self.plain.zadd(f"$SortF:Row:place:{part}:None", {redis_key: 3})
        self.rows[key] = values

    @rule(name=NAMES, number=NUMBERS)
    def leave_a_stale_entry_of_1x(self, name: str, number: int) -> None:
        """Nothing follows from it: it finds nothing, and the next look at the entries passes over it."""
        self.plain.sadd("$IndexF:Row:kind:ghost", "Row:ghost:0")
        assert Row.query.filter(kind="ghost").all() == []
        assert Row.query.count(kind="ghost") == 0
        self.plain.delete("$IndexF:Row:kind:ghost")

    # -- what must hold after each step

    @invariant()
    def rows_are_those_of_the_oracle(self) -> None:
        if not hasattr(self, "rows"):
            return
        found = {(row.name, row.number): {name: getattr(row, name) for name in VALUES} for row in Row.query.all()}
        assert {key: repr(row) for key, row in found.items()} == {
            key: repr({name: row[name] for name in VALUES}) for key, row in self.rows.items()
        }
        assert Row.query.count() == len(self.rows)

    @invariant()
    def entries_are_those_of_the_rows(self) -> None:
        if hasattr(self, "rows"):
            strays = [one for one in stray_entries(self.plain, Row) if ":items:" not in one]
            assert strays == [], keyspace(self.plain)
            held = {key for key in keyspace(self.plain) if b":items:" in key}
            wanted = {row["items"] if row["items"] is None else str(row["items"]) for row in self.rows.values()}
            assert len(held) == len(wanted)

    @invariant()
    def lookups_answer_as_the_oracle(self) -> None:
        if not hasattr(self, "rows"):
            return
        for keywords, holds in QUESTIONS:
            wanted = sorted(key for key, row in self.rows.items() if holds(row))
            found = sorted((row.name, row.number) for row in Row.query.filter(**keywords))
            assert found == wanted, keywords
            assert Row.query.count(**keywords) == len(wanted), keywords


QUESTIONS: list[tuple[dict[str, Any], Any]] = [
    *(({"kind": kind}, lambda row, kind=kind: row["kind"] == kind) for kind in (None, "x", "None", "{&#58;}")),
    ({"kind__in": ["x", None, "y:z"]}, lambda row: row["kind"] in ("x", None, "y:z")),
    ({"flag": True}, lambda row: row["flag"] is True),
    ({"money": Decimal("1.1")}, lambda row: row["money"] == Decimal("1.1")),
    ({"items": [1]}, lambda row: row["items"] == [1]),
    ({"code": "None"}, lambda row: row["code"] == "None"),
    ({"rank__gte": 0}, lambda row: row["rank"] >= 0),
    ({"rank__lt": 1.5, "kind": "x"}, lambda row: row["rank"] < 1.5 and row["kind"] == "x"),
    ({"kind": "x", "flag": None, "place__gte": 3}, lambda row: (
        row["kind"] == "x" and row["flag"] is None and row["place"] >= 3
    )),
    ({"kind": None, "flag": True, "place__gt": 2**60}, lambda row: (
        row["kind"] is None and row["flag"] is True and row["place"] > 2**60
    )),
    ({"text": "t"}, lambda row: row["text"] == "t"),
    ({"kind__contains": ":"}, lambda row: ":" in (row["kind"] or "")),
    ({"code__contains": "n", "rank__gte": 0}, lambda row: "n" in row["code"] and row["rank"] >= 0),
]  # fmt: skip


@pytest.mark.parametrize("name", ["fake", pytest.param("redis-6.2", marks=pytest.mark.server)])
@pytest.mark.timeout(600)
def test_any_sequence_of_operations_agrees_with_a_dictionary(name: str, servers: Servers):
    connection = Connection(servers.url(name))
    before = set_connection(connection)
    kind = type("Bound", (Machine,), {"connection": connection})
    try:
        run_state_machine_as_test(
            kind,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                derandomize=True,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        reset()
        if before is not None:
            set_connection(before)
