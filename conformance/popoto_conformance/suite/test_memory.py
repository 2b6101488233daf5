"""What memories learn: each effect is one step, is kept while its row is there, and leaves with it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    Connection,
    Field,
    FloatField,
    KeyField,
    Model,
    ObservationProtocol,
    PredictionLedgerMixin,
    RecallProposal,
    WriteFilterMixin,
    clock,
    round_trips,
    using,
)
from popoto import connection as current
from popoto.storage import ask, ask_all
from popoto.storage.commands.hashes import hget
from popoto.storage.commands.keys import exists
from popoto.storage.commands.lists import lrange
from popoto.storage.commands.sorted_sets import zscore
from popoto_conformance.cases import Driver, awaited, exactly

pytestmark = pytest.mark.needs("lua")

NOW = 1_795_344_718.0
ORDER = ("confidence", "evidence_count", "corroborations", "contradictions")


class Diary:
    """A model that has every primitive, under a name that no other run has, and its verbs run by one driver."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.name = f"Conformance{secrets.token_hex(6)}"
        body = {
            "name": KeyField(),
            "agent": Field(),
            "worth": FloatField(default=0.5),
            "certainty": ConfidenceField(partition_by="agent"),
            "compute_filter_score": lambda row: row.worth,
        }
        self.model: Any = type(self.name, (AccessTrackerMixin, WriteFilterMixin, PredictionLedgerMixin, Model), body)

    def run(self, owner: Any, verb: str, *words: Any, **named: Any) -> Any:
        """Call a verb, or its asyncio twin, and give its result."""
        if self.driver.name == "sync":
            found = getattr(owner, verb)
            return found(*words, **named) if callable(found) else found
        return awaited(self.driver.runner, getattr(owner, f"async_{verb}")(*words, **named))

    def created(self, **values: Any) -> Any:
        """A new row."""
        return self.run(self.model, "create", **{"name": "a", "agent": "x", **values})

    def confidence(self, row: Any) -> tuple[Any, ...]:
        """What was learned of a row."""
        found = self.run(ConfidenceField, "get_confidence_data", row, "certainty")
        return tuple(found[name] for name in ORDER)

    def key(self, tail: str) -> str:
        """A key as the store has it: `$AT:*:count` with the model's name for the star."""
        return f"{current().layout.prefix(self.name)}{tail.replace('*', self.name)}"

    def pending(self, partition: str) -> list[str]:
        """The names of the rows that are pending."""
        found = self.run(RecallProposal, "get_pending", self.model, partition)
        return [key.rpartition(":")[2] for key, _ in found]


@contextmanager
def opened(driver: Driver, connection: Connection) -> Iterator[Diary]:
    """A diary on a connection; what is in it is deleted in the end."""
    with using(connection):
        made = Diary(driver)
        yield made
        for row in made.model.query.no_track().all():
            row.delete()


@pytest.fixture
def diary(driver: Driver, connection: Connection) -> Iterator[Diary]:
    """A model of a name of its own."""
    with opened(driver, connection) as made:
        yield made


def test_signals_move_a_confidence_by_the_formula(diary: Diary) -> None:
    row = diary.created(certainty=0.5)
    found = [
        diary.run(ConfidenceField, "update_confidence", row, "certainty", signal)
        for signal in (0.9, 0.9, 0.9, 0.1, 0.5, 0, 1)
    ]
    expected = [0.9, 0.9, 0.9, 0.5, 0.5, 0.29587585476807, 0.56200976625373]
    exactly([round(one, 14) for one in found], expected)
    exactly(diary.confidence(row)[1:], (7, 5, 2))
    member = diary.key("*:a")
    rank, value = current().run(
        ask_all([zscore(diary.key("$ConfidencF:*:certainty:rank:x"), member), hget(member, "certainty")])
    )
    exactly([rank, ConfidenceField().decode(value)], [found[-1], found[-1]])


def test_what_was_learned_survives_saves_renames_and_partitions(diary: Diary) -> None:
    row = diary.created(certainty=0.5)
    diary.run(ConfidenceField, "update_confidence", row, "certainty", 0.75)
    row.name, row.agent = "b", "y:z"
    diary.run(row, "save", migrate_key=True)
    again = diary.created(name="b", agent="y:z", certainty=0.1)
    exactly(diary.confidence(again), (0.75, 1, 1, 0))
    exactly(diary.run(diary.model, "check_indexes")["total"], 0)
    diary.run(again, "delete")
    keys = [diary.key(f"$ConfidencF:*:certainty:{kind}:{place}") for kind in ("data", "rank") for place in ("x", "y:z")]
    exactly(current().run(ask_all([exists(key) for key in keys])), [False] * 4)


def test_the_log_keeps_the_last_reads_and_follows_its_row(diary: Diary) -> None:
    diary.model._max_access_log = 3
    row = diary.created()
    for second in range(5):
        with clock.frozen(lambda second=second: NOW + second / 4):  # type: ignore[misc]
            diary.run(row, "on_read")
    exactly(diary.run(row, "confirm_access"), 5)
    exactly([diary.run(row, "access_count"), diary.run(row, "last_accessed")], [5, NOW + 1])
    diary.run(ObservationProtocol, "on_surfaced", [row], partition="p")
    row.name = "b"
    diary.run(row, "save", migrate_key=True)
    logs = [diary.key(f"$AT:*:access_log:{diary.key(f'*:{name}')}") for name in "ab"]
    moments = [[float(one) for one in log] for log in current().run(ask_all([lrange(log, 0, -1) for log in logs]))]
    exactly(moments, [[], [NOW + 0.5, NOW + 0.75, NOW + 1]])
    exactly([diary.run(row, "access_count"), diary.run(row, "last_accessed"), diary.pending("p")], [5, NOW + 1, ["b"]])
    exactly(diary.run(RecallProposal, "resolve", row, "acted", "p"), 1)
    exactly(diary.run(RecallProposal, "resolve", row, "acted", "p"), 0)
    diary.run(row, "delete")
    exactly(current().run(ask_all([exists(log) for log in logs])), [False] * 2)


def test_an_outcome_is_one_step_with_all_its_effects(diary: Diary) -> None:
    row = diary.created(certainty=0.5)
    diary.run(row, "on_read")
    diary.run(row, "on_read")
    diary.run(diary.model, "record_prediction", row, {"a": 1})
    diary.run(ObservationProtocol, "on_surfaced", [row], partition="p")
    exactly(diary.pending("p"), ["a"])
    with round_trips() as trips:
        for _ in range(2):
            diary.run(ObservationProtocol, "on_context_used", [row], {row.pk: "acted"}, outcome_id="once")
    exactly(int(trips), 2)
    exactly([diary.confidence(row)[1:], diary.run(row, "access_count"), diary.pending("p")], [(1, 1, 0), 2, []])
    found = diary.run(diary.model, "get_prediction_data", row)
    exactly([found["prediction_error"], found["resolution_mode"]], [0.1, "observed"])


def test_a_contradiction_never_raises_a_confidence(diary: Diary) -> None:
    row = diary.created(certainty=0.5)
    diary.run(diary.model, "record_prediction", row, {"a": 1})
    diary.run(ObservationProtocol, "on_context_used", [row], {row.pk: "contradicted"})
    confidence, *counts = diary.confidence(row)
    exactly([round(confidence, 12), counts], [0.1, [1, 0, 1]])


def test_reads_of_an_answer_are_staged_in_one_further_trip(diary: Diary) -> None:
    for number in range(10):
        diary.created(name=str(number))
    with round_trips() as trips:
        rows = diary.run(diary.model.query, "filter", agent="x") if diary.driver.name != "sync" else None
        rows = list(diary.model.query.filter(agent="x")) if rows is None else rows
    exactly([int(trips), len(rows)], [2, 10])
    exactly([diary.run(row, "confirm_access") for row in rows], [1] * 10)
    exactly(current().run(ask(zscore(diary.key("$AT:*:count"), diary.key("*:7")))), 1.0)


def test_a_row_that_is_worth_little_is_not_saved(diary: Diary) -> None:
    exactly(diary.created(worth=0.05)._redis_key, None)
    row = diary.created(worth=0.9)
    priority, member = diary.key("$WF:*:priority"), diary.key("*:a")
    exactly(current().run(ask(zscore(priority, member))), 0.9)
    row.worth = 0.3
    diary.run(row, "save")
    exactly(current().run(ask(zscore(priority, member))), None)


def test_a_signal_that_a_row_lacks_counts_nowhere(diary: Diary) -> None:
    for name, worth, reads in (("a", 0.9, 0), ("b", 0.5, 2), ("c", 0.75, 1)):
        row = diary.created(name=name, worth=worth)
        for _ in range(reads):
            diary.run(row, "on_read")
        diary.run(row, "confirm_access")
    query, weights = diary.model.query.no_track(), {"priority": 1.0, "access_count": 1.0}
    for aggregate, expected in {
        "SUM": [("b", 2.0), ("c", 1.75), ("a", 0.9)],
        "MIN": [("b", 2.0), ("a", 0.9), ("c", 0.75)],
        "MAX": [("b", 2.0), ("c", 1.0), ("a", 0.9)],
    }.items():
        found = diary.run(query, "composite_score", weights, 3, aggregate, explain=True)
        exactly([(hit.row.name, hit.score) for hit in found], expected)
        exactly([len(hit.parts) for hit in found if hit.row.name != "c"], [1, 1])


def test_a_prediction_keeps_its_bytes_when_it_is_resolved(diary: Diary) -> None:
    row = diary.created()
    predicted: dict[str, Any] = {"none": None, "empty": {}, "f": 1.0, "big": 2**60 + 1, "numbers": list(range(40))}
    diary.run(diary.model, "record_prediction", row, predicted)
    exactly(diary.run(diary.model, "resolve_prediction", row, {**predicted, "f": 2.0}), 0.1)
    found = diary.run(diary.model, "get_prediction_data", row)
    exactly([found["predicted"], type(found["predicted"]["f"])], [predicted, float])
    exactly(diary.run(diary.model, "get_highest_errors", diary.model), [(row.pk, 0.1)])


def test_a_deleted_row_leaves_nothing_that_it_learned(diary: Diary) -> None:
    row = diary.created(worth=0.9)
    diary.run(row, "on_read")
    diary.run(row, "confirm_access")
    diary.run(row, "on_read")
    diary.run(diary.model, "record_prediction", row, {"a": 1})
    diary.run(diary.model, "auto_resolve", row, "acted")
    diary.run(ObservationProtocol, "on_context_used", [row], {row.pk: "used"}, outcome_id="1")
    diary.run(ObservationProtocol, "on_surfaced", [row], partition="p")
    diary.run(row, "delete")
    tails = [
        "$AT:*:count",
        "$WF:*:priority",
        "$PL:*:errors:default",
        "$RP:*:pending:p",
        "$ConfidencF:*:certainty:data:x",
    ]
    own = [f"{base}:{diary.key('*:a')}" for base in ("$AT:*:staged", "$AT:*:access_log", "$AT:*:meta", "$PL:*:meta")]
    own += [f"{base}:{diary.key('*:a')}" for base in ("$RP:*:of", "$RP:*:outcomes")]
    keys = [diary.key(tail) for tail in (*tails, *own)]
    exactly(current().run(ask_all([exists(key) for key in keys])), [False] * len(keys))
