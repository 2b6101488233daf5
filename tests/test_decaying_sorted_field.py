"""DecayingSortedField: what it stores, when it renews itself, and how it is touched."""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from typing import Any

import pytest
from stored import keyspace

from popoto import (
    DecayingSortedField,
    DecimalField,
    Defaults,
    Field,
    FloatField,
    IntField,
    KeyField,
    Model,
    ModelException,
    StaleObjectError,
    clock,
    round_trips,
)
from popoto.storage import Connection

NOW = 1_795_344_718.0
DAY = 86_400.0


class Note(Model):
    name = KeyField()
    place = Field(null=True)
    weight = FloatField(null=True)
    fresh = DecayingSortedField(decay_rate=0.5, base_score_field="weight", partition_by="place")
    plain = DecayingSortedField()


class Priced(Model):
    name = KeyField()
    price = DecimalField(null=True)
    fresh = DecayingSortedField(base_score_field="price")


class Counted(Model):
    name = KeyField()
    version = IntField(default=0)
    fresh = DecayingSortedField()

    class Meta:
        version_field = "version"


def at(moment: float) -> Any:
    return clock.frozen(lambda: moment)


def ranks(plain: Any) -> dict[bytes, Any]:
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$Decay")}


def test_a_save_stores_the_present_in_the_row_and_in_the_order(store: Connection, plain: Any) -> None:
    with at(NOW):
        note = Note.create(name="a", place="x:1", weight=3.0, fresh=5.0)
    assert ranks(plain) == {
        b"$DecayingSortF:Note:fresh:x{&#58;}1": {b"Note:a": NOW},
        b"$DecayingSortF:Note:plain": {b"Note:a": NOW},
        b"$DecayBase:Note:fresh:x{&#58;}1": {b"Note:a": 3.0},
    }
    assert (note.fresh, Note.load(name="a").fresh) == (NOW, NOW)
    with at(NOW + 5):
        note.save()
        note.weight = 4.0
        note.save(update_fields=["weight"])
    assert plain.zscore("$DecayingSortF:Note:plain", "Note:a") == NOW + 5


def test_skip_auto_now_keeps_the_moment(store: Connection, plain: Any) -> None:
    with at(NOW):
        Note(name="a", fresh=NOW - DAY, plain=7.0).save(skip_auto_now=True)
    assert plain.zscore("$DecayingSortF:Note:fresh:None", "Note:a") == NOW - DAY
    assert plain.zscore("$DecayingSortF:Note:plain", "Note:a") == 7.0


def test_a_first_save_without_a_moment_takes_the_present(store: Connection, plain: Any) -> None:
    # D12: 1.x failed inside the client.
    with at(NOW):
        Note(name="a").save(skip_auto_now=True)
        Note(name="b").save(update_fields=["weight"])
    assert plain.zrange("$DecayingSortF:Note:plain", 0, -1, withscores=True) == [(b"Note:a", NOW), (b"Note:b", NOW)]
    assert Note(name="c").is_valid()


def test_touch_renews_the_row_and_its_place_in_one_step(store: Connection, plain: Any) -> None:
    # D10: 1.x left the row as it was.
    with at(NOW - DAY):
        note = Note.create(name="a", place="x", weight=3.0)
    with at(NOW), round_trips() as trips:
        assert note.touch("fresh") == NOW
    assert trips == 1
    assert plain.zscore("$DecayingSortF:Note:fresh:x", "Note:a") == NOW
    again = Note.load(name="a")
    assert (again.fresh, again.plain, again.weight, note.fresh) == (NOW, NOW - DAY, 3.0, NOW)
    again.save(skip_auto_now=True)
    assert plain.zscore("$DecayingSortF:Note:fresh:x", "Note:a") == NOW
    assert Note.rebuild_indexes() == 1
    assert plain.zscore("$DecayingSortF:Note:fresh:x", "Note:a") == NOW


def test_touch_waits_in_a_pipeline_and_has_a_twin(store: Connection, plain: Any) -> None:
    with at(NOW - DAY):
        note = Note.create(name="a")
    pipe = store.pipeline()
    with at(NOW):
        assert note.touch("plain", pipeline=pipe) is pipe
    assert plain.zscore("$DecayingSortF:Note:plain", "Note:a") == NOW - DAY
    pipe.execute()
    assert plain.zscore("$DecayingSortF:Note:plain", "Note:a") == NOW
    with at(NOW + 1):
        assert asyncio.run(note.async_touch("plain")) == NOW + 1


def test_touch_counts_a_version_up(store: Connection, plain: Any) -> None:
    one, other = Counted.create(name="a"), Counted.load(name="a")
    one.touch("fresh")
    assert (one.version, Counted.load(name="a").version) == (2, 2)
    one.save()
    with pytest.raises(StaleObjectError):
        other.save()


def test_touch_refuses_what_cannot_be_touched(store: Connection, plain: Any) -> None:
    note = Note(name="a")
    with pytest.raises(AttributeError, match="has no field 'frsh'; did you mean 'fresh'"):
        note.touch("frsh")
    with pytest.raises(TypeError, match=r"Note.weight is a FloatField; touch takes a DecayingSortedField"):
        note.touch("weight")
    with pytest.raises(TypeError, match="not saved"):
        note.touch("fresh")
    note.save()
    Note.load(name="a").delete()
    with pytest.raises(StaleObjectError):
        note.touch("fresh")
    assert keyspace(plain) == {}


@pytest.mark.parametrize(("value", "base"), [(4, 4.0), (None, 1.0), (math.nan, 1.0), (-2.5, -2.5), (0, 0.0)])
def test_every_row_has_a_base(store: Connection, plain: Any, value: Any, base: float) -> None:
    Note.create(name="a", weight=value)
    assert plain.zscore("$DecayBase:Note:fresh:None", "Note:a") == base


def test_a_base_follows_its_field(store: Connection, plain: Any) -> None:
    note = Note.create(name="a", place="x", weight=1.0)
    note.atomic_increment("weight", 2.5)
    assert plain.zscore("$DecayBase:Note:fresh:x", "Note:a") == 3.5
    note.weight = math.nan
    note.save(update_fields=["weight"])
    assert plain.zscore("$DecayBase:Note:fresh:x", "Note:a") == 1.0
    note.weight, note.place, note.name = 2.0, "y", "b"
    note.save(migrate_key=True)
    assert ranks(plain).keys() == {
        b"$DecayBase:Note:fresh:y",
        b"$DecayingSortF:Note:fresh:y",
        b"$DecayingSortF:Note:plain",
    }
    assert plain.zscore("$DecayBase:Note:fresh:y", "Note:b") == 2.0
    assert Note.check_indexes()["total"] == 0
    note.delete()
    assert keyspace(plain) == {}


def test_a_decimal_base_is_read_and_added_to(store: Connection, plain: Any) -> None:
    row = Priced.create(name="a", price=Decimal("-12.50"))
    assert plain.zscore("$DecayBase:Priced:fresh", "Priced:a") == -12.5
    row.atomic_increment("price", Decimal("13"))
    assert plain.zscore("$DecayBase:Priced:fresh", "Priced:a") == 0.5


def test_a_default_rate_is_read_at_use(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Note.plain.decay_rate, Note.fresh.decay_rate) == (0.1, 0.5)
    with at(NOW):
        Note(name="a", plain=NOW - 4 * DAY).save(skip_auto_now=True)
        monkeypatch.setattr(Defaults, "DECAY_RATE", 0.5)
        assert Note.plain.decay_rate == 0.5
        assert Note.query.top_by_decay("plain", explain=True)[0].score == 0.5


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"decay_rate": 0}, ModelException, "must be above 0"),
        ({"decay_rate": -1}, ModelException, "must be above 0"),
        ({"decay_rate": math.inf}, ModelException, "must be finite"),
        ({"decay_rate": "fast"}, TypeError, "must be a number"),
        ({"decay_rate": True}, TypeError, "must be a number"),
        ({"null": True}, ModelException, "cannot be null"),
        ({"partition_by": ["a"]}, ModelException, "partition_by"),
        ({"type": int}, ModelException, "cannot be stored"),
        ({"decay": 1}, ModelException, "no option 'decay'"),
    ],
)
def test_wrong_options_are_refused(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        DecayingSortedField(**options)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("wieght", r"is no field, .*did you mean 'weight'"),
        ("label", "holds str"),
        ("fresh", "holds float"),
    ],
)
def test_a_base_that_is_no_number_is_refused_when_the_class_is_made(base: str, message: str) -> None:
    # D11: 1.x took 1.0 for it without a word.
    with pytest.raises(ModelException, match=message):
        type(
            "Wrong",
            (Model,),
            {
                "name": KeyField(),
                "weight": FloatField(null=True),
                "label": Field(null=True),
                "fresh": DecayingSortedField(base_score_field=base),
            },
        )
