"""Meta.version_field: a save by who has not seen the last one is refused, whatever wrote it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest
from stored import keyspace, stray_entries

from popoto import (
    Field,
    IndexedField,
    IntField,
    KeyField,
    Model,
    ModelException,
    SortedField,
    StaleObjectError,
    round_trips,
)


class Page(Model):
    name = KeyField()
    text = Field()
    kind = IndexedField()
    hits = IntField(default=0)
    rev = IntField()

    class Meta:
        version_field = "rev"


class Ranked(Model):
    name = KeyField()
    text = Field()
    rev = SortedField(type=int, default=0)

    class Meta:
        version_field = "rev"


def rev(plain: Any, key: str = "Page:a") -> Any:
    return msgpack.unpackb(plain.hget(key, "rev"))


def loaded() -> Page:
    found = Page.load("Page:a")
    assert found is not None
    return found


def test_every_save_counts_the_version_up_in_one_round_trip(store: Any, plain: Any):
    row = Page.create(name="a", text="x")
    assert rev(plain) == 1
    for number, save in enumerate(
        (
            lambda: row.save(),
            lambda: row.save(update_fields=["text"]),
            lambda: Page.bulk_update([row], text="z"),
            lambda: loaded().save(),
        ),
        start=2,
    ):
        row.text = f"v{number}"
        with round_trips() as trips:
            save()
        assert rev(plain) == number
        assert trips.count <= 2
    row.refresh()
    assert row.rev == 5


def test_a_stale_save_is_refused_and_nothing_written(store: Any, plain: Any):
    Page.create(name="a", text="x", kind="k")
    mine, theirs = loaded(), loaded()
    theirs.text = "theirs"
    theirs.save()
    before = keyspace(plain)
    mine.kind = "mine"
    for save in (mine.save, lambda: mine.save(update_fields=["kind"]), lambda: mine.save(migrate_key=True)):
        with pytest.raises(StaleObjectError, match="rev was changed by another writer"):
            save()
    assert keyspace(plain) == before
    with pytest.raises(ModelException, match="0 of 1 items were written"):
        Page.bulk_update([mine], text="bulk")
    assert keyspace(plain) == before
    mine.refresh()
    mine.kind = "mine"
    mine.save()
    assert (rev(plain), loaded().text, loaded().kind) == (3, "theirs", "mine")
    assert stray_entries(plain, Page) == []


def test_a_stale_rename_is_refused(store: Any, plain: Any):
    Page.create(name="a")
    mine, theirs = loaded(), loaded()
    theirs.save()
    mine.name = "b"
    with pytest.raises(StaleObjectError):
        mine.save(migrate_key=True)
    assert plain.exists("Page:a") and not plain.exists("Page:b")
    theirs.name = "b"
    theirs.save(migrate_key=True)
    assert rev(plain, "Page:b") == 3


def test_a_version_given_by_hand_does_not_count(store: Any, plain: Any):
    row = Page.create(name="a", rev=50)
    assert rev(plain) == 1
    row.rev = 99
    row.save()
    assert (rev(plain), row.rev) == (2, 2)


def test_an_increment_is_seen_by_the_lock(store: Any, plain: Any):
    row = Page.create(name="a")
    other = loaded()
    assert row.atomic_increment("hits", 5) == 5
    assert rev(plain) == row.rev == 2
    other.text = "blind"
    with pytest.raises(StaleObjectError):
        other.save()
    row.text = "seen"
    row.save()
    assert rev(plain) == 3


def test_a_replaced_row_begins_anew(store: Any, plain: Any):
    old = Page.create(name="a")
    old.save()
    Page.create(name="a", text="new")
    assert rev(plain) == 1
    with pytest.raises(StaleObjectError):
        old.save()


def test_rows_without_a_version_are_taken_over(store: Any, plain: Any):
    Page.create(name="a")
    plain.hdel("Page:a", "rev")
    one, other = loaded(), loaded()
    one.text = "x"
    one.save()
    assert rev(plain) == 1
    with pytest.raises(StaleObjectError):
        other.save()


def test_a_version_can_be_sorted(store: Any, plain: Any):
    row = Ranked.create(name="a")
    row.text = "x"
    row.save()
    assert keyspace(plain)[b"$SortF:Ranked:rev"] == {b"Ranked:a": 2.0}
    assert [one.rev for one in Ranked.query.filter(rev__gte=2)] == [2]


def test_in_a_pipeline_and_under_asyncio(store: Any, plain: Any):
    Page.create(name="a")
    mine, theirs = loaded(), loaded()
    with store.pipeline() as pipe:
        mine.text = "mine"
        theirs.text = "theirs"
        mine.save(pipeline=pipe)
        theirs.save(pipeline=pipe)
        mine_reply, theirs_reply = pipe.execute(raise_on_error=False)
    assert (rev(plain), mine_reply) == (2, 0)
    assert isinstance(theirs_reply, StaleObjectError)
    assert mine.rev == 2

    async def work() -> int:
        one, *others = [await Page.async_load("Page:a") for _ in range(5)]
        saves = [row.async_save() for row in (one, *others)]  # type: ignore[union-attr]
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        return sum(isinstance(outcome, StaleObjectError) for outcome in outcomes)

    assert asyncio.run(work()) == 4
    assert rev(plain) == 3


@pytest.mark.parametrize("field", ["nope", "name", "text", 5])
def test_the_option_names_an_int_field_that_is_no_key(field: Any):
    with pytest.raises(ModelException, match="version_field"):

        class Wrong(Model):
            name = KeyField()
            text = Field()

            class Meta:
                version_field = field
