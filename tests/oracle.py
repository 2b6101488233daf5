"""A dictionary of rows beside stored ones: what each operation should do to it, and that both stay the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant
from stored import keyspace, spelled, stray_entries

from popoto import Field, IndexedField, KeyField, Model, ModelException, SortedField, StaleObjectError, UniqueField
from popoto.storage import Connection


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
DEFAULTS = {"kind": None, "flag": None, "money": None, "items": None, "rank": 0.0, "place": 0, "text": None}
Key = tuple[str, int]


def canonical(key: Key) -> str:
    """Where 2.0 puts a row."""
    return ":".join(["Row", *map(spelled, key)])


# What a filter asks, and which rows it means.
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


@dataclass
class Handle:
    """One instance, and what it believes to be stored."""

    row: Row
    stored: Key | None
    known: dict[str, Any] = field(default_factory=dict)


class Oracle(RuleBasedStateMachine):
    """The dictionary, and what must hold after each step."""

    connection: Connection
    second: Connection
    steps = 0

    @initialize()
    def begin(self) -> None:
        self.plain = self.connection.native
        self.plain.flushall()
        self.rows: dict[Key, dict[str, Any]] = {}
        # Rows of 1.x that stand under its spelling of their keys, and all whose entries may be spelled so.
        self.places: dict[Key, str] = {}
        self.old: set[bytes] = set()
        self.clients = [self.connection, self.second]

    # -- what the oracle says

    def taken(self, key: Key | None, code: str) -> bool:
        return any(other != key and row["code"] == code for other, row in self.rows.items())

    def there(self, handle: Handle) -> bool:
        """Whether a handle's row stands where it was loaded."""
        key = handle.stored
        return key in self.rows and handle.row._redis_key == self.places.get(key, canonical(key))

    def put(self, key: Key, values: dict[str, Any]) -> None:
        self.rows[key] = dict(values)
        self.places.pop(key, None)

    def expect(self, work: Any, refusal: type[Exception] | None) -> bool:
        if refusal is None:
            work()
            return True
        with pytest.raises(refusal):
            work()
        return False

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
                self.put(key, current)
                handle.stored, handle.known = key, dict(current)

            return (ModelException if self.taken(key, current["code"]) else None), made
        considered = VALUES if names is None else names
        changed = {name: current[name] for name in considered if self.differs(current[name], handle.known[name])}
        if not self.there(handle):
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

    # -- what must hold after each step

    @invariant()
    def rows_are_those_of_the_oracle(self) -> None:
        if not hasattr(self, "rows"):
            return
        type(self).steps += 1
        found = {(row.name, row.number): {name: getattr(row, name) for name in VALUES} for row in Row.query.all()}
        assert {key: repr(row) for key, row in found.items()} == {
            key: repr({name: row[name] for name in VALUES}) for key, row in self.rows.items()
        }
        assert Row.query.count() == len(self.rows)

    @invariant()
    def entries_are_those_of_the_rows(self) -> None:
        if hasattr(self, "rows"):
            assert stray_entries(self.plain, Row, self.old) == [], keyspace(self.plain)

    @invariant()
    def lookups_answer_as_the_oracle(self) -> None:
        if not hasattr(self, "rows"):
            return
        for keywords, holds in QUESTIONS:
            wanted = sorted(key for key, row in self.rows.items() if holds(row))
            found = sorted((row.name, row.number) for row in Row.query.filter(**keywords))
            assert found == wanted, keywords
            assert Row.query.count(**keywords) == len(wanted), keywords
