"""ConfidenceField: evidence moves a number, in one step, and nothing but evidence resets it."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgpack
import pytest
from stored import keyspace

from popoto import (
    ConfidenceField,
    Defaults,
    Field,
    KeyField,
    Model,
    ModelException,
    QueryException,
    clock,
    round_trips,
)
from popoto import connection as current
from popoto.exceptions import WrongType
from popoto.storage import Connection
from popoto.streams import EventStreamMixin

update, data = ConfidenceField.update_confidence, ConfidenceField.get_confidence_data


class Belief(Model):
    name = KeyField()
    note = Field()
    certainty = ConfidenceField()


class Sure(Model):
    name = KeyField()
    certainty = ConfidenceField(initial_confidence=0.9)


class Local(Model):
    name = KeyField()
    project = Field()
    place = Field()
    certainty = ConfidenceField(partition_by=("project", "place"))


class Logged(EventStreamMixin, Model):
    _stream_name = "beliefs"
    name = KeyField()
    certainty = ConfidenceField()


DATA, RANK = b"$ConfidencF:Belief:certainty:data", b"$ConfidencF:Belief:certainty:rank"
ORDER = ["confidence", "evidence_count", "corroborations", "contradictions"]


def entry(*values: Any) -> bytes:
    packed: bytes = msgpack.packb(dict(zip(ORDER, values, strict=True)))
    return packed


def kept(plain: Any) -> dict[bytes, Any]:
    return {key: value for key, value in keyspace(plain).items() if key.startswith(b"$Conf")}


def test_a_new_row_has_its_prior_in_the_bytes_of_1x_and_a_rank(store: Connection, plain: Any) -> None:
    Belief.create(name="a")
    member = b"Belief:a"
    assert kept(plain) == {DATA: {member: entry(0.5, 0, 0, 0)}, RANK: {member: 0.5}}
    assert plain.hget("Belief:a", "certainty") == msgpack.packb(0.5)


def test_signals_give_the_golden_values(store: Connection, plain: Any) -> None:
    belief = Belief.create(name="a")
    found = [update(belief, "certainty", signal) for signal in (0.9, 0.9, 0.9, 0.1, 0.5, 0, 1)]
    assert found == pytest.approx([0.9, 0.9, 0.9, 0.5, 0.5, 0.29587585476807, 0.56200976625373], abs=1e-14)
    stored = msgpack.unpackb(plain.hget(DATA, "Belief:a"))
    assert stored["confidence"] == found[-1] == pytest.approx(0.562009766253728, abs=1e-15)
    assert [stored[name] for name in ORDER[1:]] == [7, 5, 2]
    assert list(stored) == ORDER
    assert plain.zscore(RANK, "Belief:a") == found[-1]
    assert ConfidenceField.get_confidence(belief, "certainty") == belief.certainty == found[-1]


def test_the_first_signal_replaces_the_prior_and_a_whole_number_stays_a_float(store: Connection, plain: Any) -> None:
    sure, belief = Sure.create(name="a"), Belief.create(name="a")
    assert update(sure, "certainty", 0.2) == pytest.approx(0.2)  # D22: the formula is the reference's
    assert update(belief, "certainty", 1.0) == 1.0
    assert plain.hget(DATA, "Belief:a") == entry(1.0, 1, 1, 0)  # D22: 1.x stored the integer 1
    assert plain.hget("Belief:a", "certainty") == b"\xcb\x3f\xf0" + bytes(6)


def test_a_value_given_to_create_is_the_prior(store: Connection) -> None:
    belief = Belief.create(name="a", certainty=0.95)  # D22: get_confidence gave the field's default
    assert ConfidenceField.get_confidence(belief, "certainty") == 0.95


def test_attribute_and_filters_have_what_was_learned(store: Connection) -> None:
    update(Sure.create(name="a"), "certainty", 0.2)
    loaded = Sure.load(name="a")
    assert loaded is not None
    assert loaded.certainty == pytest.approx(0.2)  # D22: a reloaded attribute was stale
    assert [row.name for row in Sure.query.filter(certainty=loaded.certainty)] == ["a"]


def test_learned_confidence_survives_saves_and_a_second_create(store: Connection, plain: Any) -> None:
    belief = Belief.create(name="a")
    update(belief, "certainty", 0.9)
    stale = Belief(name="a", note="old")
    belief.note, belief.certainty = "new", 0.1
    belief.save()
    stale.save()
    Belief.create(name="a", certainty=0.3)
    assert data(belief, "certainty") == dict(zip(ORDER, (0.9, 1, 1, 0), strict=True))
    assert plain.hget("Belief:a", "certainty") == msgpack.packb(0.9)
    assert plain.zscore(RANK, "Belief:a") == 0.9


def test_a_prior_may_be_changed_until_there_is_evidence(store: Connection, plain: Any) -> None:
    belief = Belief.create(name="a")
    belief.certainty = 0.25
    belief.save()
    assert kept(plain) == {DATA: {b"Belief:a": entry(0.25, 0, 0, 0)}, RANK: {b"Belief:a": 0.25}}


def test_it_follows_renames_and_partitions_and_leaves_with_its_row(store: Connection, plain: Any) -> None:
    local = Local.create(name="a", project="p", place="x")
    update(local, "certainty", 0.7)
    local.name, local.place = "b", "y"
    local.save(migrate_key=True)
    base = b"$ConfidencF:Local:certainty:"
    member = b"Local:b"
    assert kept(plain) == {
        base + b"data:p:y": {member: entry(0.7, 1, 1, 0)},
        base + b"rank:p:y": {member: 0.7},
    }
    assert Local.check_indexes()["total"] == 0
    local.delete()
    assert keyspace(plain) == {}


def test_it_leaves_with_a_row_that_expires(store: Connection, plain: Any) -> None:
    Belief.create(name="a", _ttl=100)
    plain.delete("Belief:a")
    with clock.frozen(lambda: 4e9):
        Belief.create(name="b", _ttl=100)
    assert plain.hkeys(DATA) == [b"Belief:b"]  # D51


def test_partitions_that_1x_confused_are_apart(store: Connection, plain: Any) -> None:
    places = [("a:b", "c"), ("a", "b:c"), (None, "z"), ("z", None), ("None", "z"), ("x-y/'", "*")]
    keys = set()
    for number, (project, place) in enumerate(places):
        local = Local.create(name=str(number), project=project, place=place)
        keys.add(ConfidenceField.get_data_hash_key(local, "certainty").encode())
        from_values = {"project": project, "place": place}
        assert ConfidenceField.get_data_hash_key_from_values(Local, "certainty", **from_values).encode() in keys
    assert keys == {key for key in kept(plain) if b":data:" in key}  # D02
    assert len(keys) == len(places)
    assert b"$ConfidencF:Local:certainty:data:x-y/':*" in keys


def test_key_texts_are_those_of_the_reference(store: Connection) -> None:
    local = Local.create(name="a", project="atlas", place="x")
    assert ConfidenceField.get_data_hash_key(Belief(name="a"), "certainty") == "$ConfidencF:Belief:certainty:data"
    local.project = "other"
    assert ConfidenceField.get_data_hash_key(local, "certainty") == "$ConfidencF:Local:certainty:data:other:x"
    assert ConfidenceField.get_old_data_hash_key(local, "certainty") == "$ConfidencF:Local:certainty:data:atlas:x"
    assert ConfidenceField.get_old_data_hash_key(Local(name="b"), "certainty") is None
    with pytest.raises(QueryException, match=r"give place=\.\.\."):
        ConfidenceField.get_data_hash_key_from_values(Local, "certainty", project="atlas")


def test_filtered_reads_look_through_every_partition(store: Connection) -> None:
    for number in range(30):
        local = Local.create(name=f"n{number}", project=str(number % 3), place="x")
        update(local, "certainty", number / 30)
    Belief.create(name="n1")
    found = ConfidenceField.get_confidence_filtered(Local, "certainty")
    expected = {f"Local:n{number}": pytest.approx(number / 30) for number in range(30)}
    assert {key: one["confidence"] for key, one in found.items()} == expected  # D23: it gave {}
    some = ConfidenceField.get_confidence_filtered(Local, "certainty", "Local:n1?")
    assert sorted(some) == [f"Local:n{n}" for n in range(10, 20)]
    assert list(ConfidenceField.get_confidence_filtered(Belief, "certainty", "Belief:n?")) == ["Belief:n1"]


def unpartitioned(plain: Any, names: dict[str, str | None]) -> None:
    """What a model had before it declared partitions: one hash for all."""
    for name, project in names.items():
        if project is not None:
            Local.create(name=name, project=project, place="x")
        plain.hset("$ConfidencF:Local:certainty:data", f"Local:{name}", entry(0.8, 3, 2, 1))


def test_migration_moves_each_row_and_keeps_what_it_cannot_move(store: Connection, plain: Any) -> None:
    unpartitioned(plain, {"0": "p0", "1": "p0", "2": "p0", "3": "p1", "4": "p1", "5": None})
    before = keyspace(plain)
    dry = ConfidenceField.migrate_to_partitioned(Local, "certainty", dry_run=True)
    assert keyspace(plain) == before
    counts = {"p0:x": 3, "p1:x": 2}
    assert (dry["total"], dry["migrated"], dry["partitions"], len(dry["errors"])) == (6, 0, counts, 1)
    real = ConfidenceField.migrate_to_partitioned(Local, "certainty")
    assert (real["total"], real["migrated"], real["partitions"]) == (6, 5, counts)
    assert [error["member_key"] for error in real["errors"]] == ["Local:5"]
    assert plain.hkeys("$ConfidencF:Local:certainty:data") == [b"Local:5"]  # D23: the row was lost
    assert plain.hget("$ConfidencF:Local:certainty:data:p1:x", "Local:4") == entry(0.8, 3, 2, 1)
    assert plain.zscore("$ConfidencF:Local:certainty:rank:p1:x", "Local:4") == 0.8
    assert plain.hget("Local:4", "certainty") == msgpack.packb(0.8)
    assert ConfidenceField.migrate_to_partitioned(Local, "certainty")["total"] == 1


def test_migration_keeps_the_entry_with_more_evidence(store: Connection, plain: Any) -> None:
    unpartitioned(plain, {"0": "p"})
    local = Local.load(name="0")
    for _ in range(5):
        update(local, "certainty", 0.4)
    ConfidenceField.migrate_to_partitioned(Local, "certainty")
    assert data(local, "certainty")["evidence_count"] == 5
    with pytest.raises(ModelException, match="no partition_by"):
        ConfidenceField.migrate_to_partitioned(Belief, "certainty")


def test_what_1x_wrote_is_read_and_moved(store: Connection, plain: Any) -> None:
    Belief.create(name="a")
    # Through cmsgpack: an integral float as an integer, a single, the keys in any order.
    odd = b"\x84\xaecontradictions\x00\xaaconfidence\x01\xaecorroborations\x02\xaeevidence_count\xca\x40\x00\x00\x00"
    plain.hset(DATA, "Belief:a", odd)
    belief = Belief.load(name="a")
    assert data(belief, "certainty") == dict(zip(ORDER, (1.0, 2, 2, 0), strict=True))
    assert update(belief, "certainty", 0.0) == pytest.approx(1 - 1 / math.sqrt(3))
    assert data(belief, "certainty")["evidence_count"] == 3
    plain.delete(RANK)
    Belief.rebuild_indexes()
    assert plain.zscore(RANK, "Belief:a") == belief.certainty


def test_a_rebuild_brings_over_partitions_that_1x_spelled_otherwise(store: Connection, plain: Any) -> None:
    Local.create(name="a", project="x:y", place=None)
    plain.delete("$ConfidencF:Local:certainty:data:x{&#58;}y:None", "$ConfidencF:Local:certainty:rank:x{&#58;}y:None")
    plain.hset("$ConfidencF:Local:certainty:data:x:y", "Local:a", entry(0.8, 3, 2, 1))
    Local.rebuild_indexes()
    member = b"Local:a"
    assert kept(plain) == {
        b"$ConfidencF:Local:certainty:data:x{&#58;}y:None": {member: entry(0.8, 3, 2, 1)},
        b"$ConfidencF:Local:certainty:rank:x{&#58;}y:None": {member: 0.8},
    }


def test_a_foreign_value_does_not_break_a_signal(store: Connection, plain: Any) -> None:
    belief = Belief.create(name="a")
    for junk in (b"", b"junk", b"\x81\xaaconfidence\xcb\x7f\xf8" + bytes(6), b"\xdf\xff\xff\xff\xff", b"\x84\xaacon"):
        plain.hset(DATA, "Belief:a", junk)
        assert data(belief, "certainty")["evidence_count"] == 0
        assert update(belief, "certainty", 0.4) == 0.4


def test_signals_wait_in_a_pipeline(store: Connection, plain: Any) -> None:
    belief = Belief.create(name="a")
    for pipe in (store.pipeline(), plain.pipeline()):
        assert update(belief, "certainty", 0.9, pipeline=pipe) is pipe
        before = data(belief, "certainty")["evidence_count"]
        assert pipe.execute() == [pytest.approx(0.9)]
        assert data(belief, "certainty")["evidence_count"] == before + 1


def test_the_asyncio_twins_do_the_same_in_one_round_trip(store: Connection) -> None:
    async def work() -> None:
        belief = await Belief.async_create(name="a")
        with round_trips() as trips:
            assert await ConfidenceField.async_update_confidence(belief, "certainty", 0.9) == 0.9
        assert trips == 1
        assert await ConfidenceField.async_get_confidence(belief, "certainty") == 0.9
        assert (await ConfidenceField.async_get_confidence_data(belief, "certainty"))["corroborations"] == 1
        found = await ConfidenceField.async_get_confidence_filtered(Belief, "certainty")
        assert list(found) == ["Belief:a"]
        report = await ConfidenceField.async_migrate_to_partitioned(Local, "certainty")
        assert report == {"total": 0, "migrated": 0, "errors": [], "partitions": {}}
        await current().aclose()

    asyncio.run(work())


def test_a_signal_writes_an_entry_to_the_rows_event_stream(store: Connection, plain: Any) -> None:
    update(Logged.create(name="a"), "certainty", 0.9)
    entries = [fields for _, fields in plain.xrange("stream:beliefs")]
    assert [(one[b"op"], one[b"changed_fields"]) for one in entries] == [(b"create", b""), (b"update", b"certainty")]


def test_nothing_is_added_to_a_confidence(store: Connection, plain: Any) -> None:
    belief = Belief.create(name="a")
    before = keyspace(plain)
    with pytest.raises(TypeError, match="ConfidenceField, to which nothing is added"):
        belief.atomic_increment("certainty", 0.1)
    assert keyspace(plain) == before


@pytest.mark.parametrize("signal", ["x", math.nan, -0.1, 1.1, math.inf, [], object()])
def test_a_signal_outside_0_to_1_is_refused(fake: Connection, signal: Any) -> None:
    with pytest.raises(ValueError, match="certainty: the signal"):
        update(Belief.create(name="a"), "certainty", signal)


def test_bad_use_is_refused_before_anything_is_written(store: Connection, plain: Any) -> None:
    belief = Belief(name="a")
    for name, signal in (("certainty", 0.5), ("certainty", None), ("note", 0.5), ("nothing", 0.5)):
        with pytest.raises(TypeError):
            update(belief, name, signal)
    for bad in (1.5, -0.1, math.nan, "x"):
        with pytest.raises(ModelException, match="certainty"):
            Belief.create(name="a", certainty=bad)
    assert keyspace(plain) == {}
    assert ConfidenceField.get_confidence(belief, "certainty") == 0.5
    assert data(Sure(name="x"), "certainty") == dict(zip(ORDER, (0.9, 0, 0, 0), strict=True))
    belief.save()
    belief.delete()
    with pytest.raises(TypeError, match="is not saved"):
        update(belief, "certainty", 0.5)
    assert kept(plain) == {}


@pytest.mark.parametrize(
    "options",
    [
        {"initial_confidence": 1.5},
        {"initial_confidence": math.nan},
        {"initial_confidence": "x"},
        {"partition_by": ["a"]},
        {"null": True},
        {"default": 0.5},
        {"indexed": True},
        {"unknown": 1},
    ],
)
def test_a_wrong_option_is_refused(options: Any) -> None:
    with pytest.raises(ModelException):
        ConfidenceField(**options)


def test_a_partition_must_be_a_field_with_a_text() -> None:
    for name, message in (("projct", "did you mean 'project'"), ("tags", "no one text")):
        body = {"project": Field(), "tags": Field(type=list), "sure": ConfidenceField(partition_by=name)}
        with pytest.raises(ModelException, match=message):
            type("Wrong", (Model,), body)


def test_an_override_of_the_default_takes_effect_at_once(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Defaults, "INITIAL_CONFIDENCE", 0.75)
    belief = Belief.create(name="a")
    assert (belief.certainty, ConfidenceField.get_confidence(belief, "certainty")) == (0.75, 0.75)


def test_a_key_of_the_wrong_type_refuses_a_save_and_a_signal_whole(store: Connection, plain: Any) -> None:
    belief = Belief.create(name="a")
    plain.delete(RANK)
    plain.set(RANK, "x")
    before = keyspace(plain)
    for work in (lambda: update(belief, "certainty", 0.9), lambda: Belief.create(name="b")):
        with pytest.raises(WrongType):
            work()
    assert keyspace(plain) == before


def test_care_knows_what_a_confidence_keeps(store: Connection, plain: Any) -> None:
    Local.create(name="a", project="p", place="x")
    before = keyspace(plain)
    plain.hset("$ConfidencF:Local:certainty:data:q:x", "Local:a", entry(0.5, 0, 0, 0))
    plain.zadd("$ConfidencF:Local:certainty:rank:p:x", {"Local:gone": 0.5})
    assert Local.check_indexes()["companions"]["certainty"] == 2
    assert Local.clean_indexes() == 2
    assert keyspace(plain) == before
