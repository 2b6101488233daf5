"""Rankings: rows that decay, resonate and press are found in the order of their scores, and filters hold."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from popoto import (
    Connection,
    CyclicDecayField,
    DecayingSortedField,
    FloatField,
    IndexedField,
    KeyField,
    Model,
    SortedField,
    clock,
    round_trips,
    using,
)
from popoto import connection as current
from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import hget
from popoto.storage.commands.keys import exists
from popoto.storage.commands.sorted_sets import zscore
from popoto_conformance.cases import Driver, awaited, exactly

pytestmark = pytest.mark.needs("lua")

NOW = 1_795_344_718.0
DAY = 86_400.0


class Almanac:
    """A model that can be ranked, under a name that no other run has, and its verbs run by one driver."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.name = f"Conformance{secrets.token_hex(6)}"
        body = {
            "name": KeyField(),
            "agent": IndexedField(),
            "weight": FloatField(null=True),
            "trust": SortedField(type=float, default=0.0),
            "fresh": DecayingSortedField(decay_rate=0.5, base_score_field="weight"),
            "urgent": CyclicDecayField(decay_rate=0.5, cycles=[(DAY, 2.0)], pressure_rate=0.1, partition_by="agent"),
        }
        self.model: Any = type(self.name, (Model,), body)

    def run(self, owner: Any, verb: str, *words: Any, **named: Any) -> Any:
        """Call a verb, or its asyncio twin, and give its result."""
        if self.driver.name == "sync":
            return getattr(owner, verb)(*words, **named)
        return awaited(self.driver.runner, getattr(owner, f"async_{verb}")(*words, **named))

    def aged(self, name: str, days: float, **values: Any) -> Any:
        """A new row that decays since some days ago."""
        moment = NOW - days * DAY
        row = self.model(**{"name": name, "agent": "x", "fresh": moment, "urgent": moment, **values})
        with clock.frozen(lambda: moment):
            self.run(row, "save", skip_auto_now=True)
        return row

    def key(self, tail: str) -> str:
        """A key as the store has it, with the model's name for the star."""
        return f"{current().layout.prefix(self.name)}{tail.replace('*', self.name)}"

    def names(self, verb: str, *words: Any, query: Any = None, **named: Any) -> list[str]:
        """The names of the rows of a ranking."""
        return [row.name for row in self.run(query or self.model.query, verb, *words, now=NOW, **named)]


@contextmanager
def opened(driver: Driver, connection: Connection) -> Iterator[Almanac]:
    """An almanac on a connection; what is in it is deleted in the end."""
    with using(connection):
        made = Almanac(driver)
        yield made
        made.model.delete_all()


@pytest.fixture
def almanac(driver: Driver, connection: Connection) -> Iterator[Almanac]:
    """A model of a name of its own."""
    with opened(driver, connection) as made:
        yield made


def test_rows_decay_by_the_formula(almanac: Almanac) -> None:
    for name, days, weight in (("a", 1, None), ("b", 4, 50.0), ("c", 400, 7.0), ("d", -10, 0.0), ("e", 1, -3.0)):
        almanac.aged(name, days, weight=weight)
    with round_trips() as trips:
        found = almanac.run(almanac.model.query, "top_by_decay", "fresh", now=NOW, explain=True)
    exactly([(hit.row.name, round(hit.score, 12)) for hit in found], [
        ("b", 25.0), ("a", 1.0), ("c", 0.35), ("d", 0.0), ("e", -3.0),
    ])  # fmt: skip
    exactly(trips.count, 1)
    exactly(almanac.names("top_by_decay", "fresh", 2, decay_rate=-1.0), ["c", "b"])


def test_filters_hold_and_limits_are_filled(almanac: Almanac) -> None:
    for number in range(60):
        almanac.aged(f"r{number:02}", number, agent="xy"[number % 2], trust=number)
    mine = almanac.model.query.filter(agent="y")
    exactly(almanac.names("top_by_decay", "fresh", 3, query=mine), ["r01", "r03", "r05"])
    exactly(almanac.names("composite_score", {"trust": 1.0, "fresh": 0.1}, 2, query=mine), ["r59", "r57"])
    accept = lambda key, score: not key.endswith("r59")  # noqa: E731
    exactly(almanac.names("composite_score", {"trust": 1.0}, 2, post_filter=accept), ["r58", "r57"])
    exactly(almanac.names("composite_score", {"trust": -1.0}, 2), ["r00", "r01"])
    exactly(almanac.names("composite_score", {"trust": 1.0, "fresh": 1.0}, 1, "MIN"), ["r01"])


def test_equal_scores_have_an_order(almanac: Almanac) -> None:
    for name in "cabd":
        almanac.aged(name, 3, trust=1.0)
    exactly(almanac.names("top_by_decay", "fresh", 3), ["a", "b", "c"])
    exactly(almanac.names("composite_score", {"trust": 1.0}, 3), ["a", "b", "c"])


def test_touch_renews_row_and_order(almanac: Almanac) -> None:
    row = almanac.aged("a", 9)
    with clock.frozen(lambda: NOW), round_trips() as trips:
        exactly(almanac.run(row, "touch", "fresh"), NOW)
    exactly(trips.count, 1)
    member = almanac.key("*:a")
    score, value = current().run(
        ask_all([zscore(almanac.key("$DecayingSortF:*:fresh"), member), hget(member, "fresh")])
    )
    exactly([score, DecayingSortedField().decode(value)], [NOW, NOW])


def test_cycles_and_pressure_are_learned_and_kept(almanac: Almanac) -> None:
    row = almanac.aged("a", 4)
    ((_, amplitude, _),) = almanac.run(row, "strengthen_cycle", "urgent", 1.5)
    exactly(amplitude, 3.0)
    row.name, row.agent = "b", "y:z"
    almanac.run(row, "save", migrate_key=True, skip_auto_now=True)
    mine = almanac.model.query.filter(agent="y:z")
    (hit,) = almanac.run(mine, "top_by_decay", "urgent", now=NOW, explain=True)
    expected = 0.5 + 3 * math.cos(2 * math.pi * NOW / DAY) + 0.4
    exactly(round(hit.score, 9), round(expected, 9))
    with clock.frozen(lambda: NOW):
        almanac.run(row, "resolve_pressure", "urgent")
    (hit,) = almanac.run(mine, "top_by_decay", "urgent", now=NOW, explain=True)
    exactly(round(hit.score, 9), round(expected - 0.4, 9))
    exactly(almanac.run(almanac.model, "check_indexes")["total"], 0)
    almanac.run(row, "delete")
    keys = [almanac.key(f"$CyclicDecayF:*:urgent:{place}:{kind}") for place in ("x", "y{&#58;}z") for kind in
            ("cycles", "pressure")]  # fmt: skip
    exactly([current().run(ask(exists(key))) for key in keys], [False] * 4)
