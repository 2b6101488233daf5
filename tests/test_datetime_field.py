"""DatetimeField: moments are kept with their zones, and note when a row was created and saved."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgpack
import pytest
from stored import keyspace

from popoto import DatetimeField, KeyField, Model, ModelException, StringField, clock

NOON = datetime(2026, 5, 4, 12, 0, 0, 250000)


class Note(Model):
    name = KeyField()
    text = StringField()
    made = DatetimeField(auto_now_add=True)
    saved = DatetimeField(auto_now=True)
    due = DatetimeField()


def moment(hours: float) -> Any:
    """The clock, some hours after noon."""
    return clock.frozen(lambda: NOON.timestamp() + hours * 3600)


def stamp(raw: bytes) -> datetime:
    tagged = msgpack.unpackb(raw)
    assert list(tagged) == ["__datetime__", "as_encodable"]
    return datetime.strptime(tagged["as_encodable"], "%Y%m%dT%H:%M:%S.%f")


def times(plain: Any, key: str = "Note:a") -> tuple[float, float]:
    """Hours after noon at which the stored row says that it was made and saved."""
    row = plain.hgetall(key)
    made, saved = ((stamp(row[name]) - NOON).total_seconds() / 3600 for name in (b"made", b"saved"))
    return made, saved


def test_a_new_row_notes_when_it_was_made_and_saved(store: Any, plain: Any):
    with moment(0):
        made = Note.create(name="a")
    assert times(plain) == (0, 0)
    assert (made.made, made.saved) == (NOON, NOON)


def test_a_second_save_renews_only_what_auto_now_says(store: Any, plain: Any):
    with moment(0):
        Note.create(name="a")
    with moment(1):
        row = Note.load("Note:a")
        row.text = "x"
        row.save()
    assert times(plain) == (0, 1)
    assert row.saved == NOON + timedelta(hours=1)


def test_a_given_creation_moment_wins(store: Any, plain: Any):
    given = NOON - timedelta(hours=9)
    with moment(0):
        Note.create(name="a", made=given, saved=given)
    assert times(plain) == (-9, 0)


def test_skip_auto_now_leaves_auto_now_fields(store: Any, plain: Any):
    with moment(0):
        row = Note.create(name="a")
    with moment(1):
        row.text = "x"
        row.save(skip_auto_now=True)
        assert times(plain) == (0, 0)
        fresh = Note(name="b", saved=NOON)
        fresh.save(skip_auto_now=True)
    assert times(plain, "Note:b") == (1, 0)


def test_a_partial_save_renews_only_when_it_names_the_field(store: Any, plain: Any):
    with moment(0):
        row = Note.create(name="a")
    with moment(1):
        row.save(update_fields=["text"])
        assert times(plain) == (0, 0)
        row.save(update_fields=["saved"])
    assert times(plain) == (0, 1)


def test_bulk_verbs_renew_alike(store: Any, plain: Any):
    with moment(0):
        rows = Note.bulk_create([Note(name="a"), Note(name="b")])
    assert times(plain) == times(plain, "Note:b") == (0, 0)
    with moment(1):
        Note.bulk_update(rows, text="x")
    assert times(plain) == times(plain, "Note:b") == (0, 1)


def test_async_saves_renew_alike(store: Any, plain: Any):
    async def work() -> None:
        row = await Note.async_create(name="a")
        with moment(1):
            row.text = "x"
            await row.async_save()

    with moment(0):
        asyncio.run(work())
    assert times(plain) == (0, 1)


@pytest.mark.parametrize(
    "value",
    [
        NOON.replace(microsecond=0),
        datetime(999, 10, 1, 1, 2, 3, 4),
        datetime(1, 1, 1),
        datetime.max,
        NOON.replace(tzinfo=UTC),
        NOON.replace(tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2026, 10, 25, 2, 30, fold=1),
    ],
)
def test_every_moment_comes_back_as_it_was(store: Any, value: datetime):
    Note.create(name="a", due=value)
    found = Note.load("Note:a").due
    assert (found, found.tzinfo is None, found.utcoffset(), found.fold) == (
        value,
        value.tzinfo is None,
        value.utcoffset(),
        value.fold,
    )


@pytest.mark.parametrize("wrong", ["2026-05-04", date(2026, 5, 4), 5, 1.5])
def test_what_is_no_moment_is_refused(store: Any, plain: Any, wrong: Any):
    with pytest.raises(ModelException, match=r"Note\.due"):
        Note.create(name="a", due=wrong)
    assert keyspace(plain) == {}


@pytest.mark.parametrize(
    "options", [{"auto_now": 1}, {"auto_now_add": "yes"}, {"type": str}, {"auto_nwo": True}, {"type": date}]
)
def test_a_wrong_option_is_refused(options: dict[str, Any]):
    with pytest.raises(ModelException, match="DatetimeField"):
        DatetimeField(**options)


def test_an_indexed_moment_is_found(store: Any, plain: Any):
    class Visit(Model):
        name = KeyField()
        at = DatetimeField(indexed=True)

    Visit.create(name="a", at=NOON)
    assert b"$IndexF:Visit:at:2026/-05/-04 12{&#58;}00{&#58;}00.250000" in keyspace(plain)
    assert [row.name for row in Visit.query.filter(at=NOON)] == ["a"]
    assert Visit.query.count(at__isnull=True) == 0
