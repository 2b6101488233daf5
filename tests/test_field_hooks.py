"""Fields of one's own: 1.x's hooks, whose commands join the very step that saves or deletes the row."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hooked import WORDS, Page, WordsField, page, words
from stored import keyspace

import popoto
from popoto import DB_key, Field, IntField, KeyField, Model, ModelException, round_trips
from popoto.exceptions import WrongType
from popoto.storage import Connection


def test_what_a_hook_queues_is_stored_with_the_row_in_one_round_trip(store: Any, plain: Any):
    with round_trips() as trips:
        row = page("a:1", "one two")
    key = b"Page:a{&#58;}1"
    assert (words(plain), trips) == ({key: 2.0}, 1)
    with round_trips() as trips:
        row.text = "one two three"
        row.save()
        row.state = "done"
        row.save(update_fields=["state"])
    assert (words(plain), trips) == ({key: 3.0}, 2)
    row.text = None
    row.save(update_fields=["text"])
    assert words(plain) == {}
    row.text = "x"
    row.save()
    with round_trips() as trips:
        assert row.delete() is True
    assert (keyspace(plain), trips) == ({}, 1)


def test_a_partial_save_calls_the_hooks_of_its_fields_alone(store: Any, plain: Any):
    row = page("a", "one two")
    plain.delete(WORDS)
    row.state = "done"
    row.save(update_fields=["state"])
    assert words(plain) == {}
    row.save(update_fields=["text"])
    assert words(plain) == {b"Page:a": 2.0}


def test_a_renamed_row_takes_its_entries_with_it(store: Any, plain: Any):
    row = page("a", "one two")
    row.name = "b"
    row.save(migrate_key=True)
    assert words(plain) == {b"Page:b": 2.0}


def test_a_refused_save_leaves_nothing_of_its_hooks(store: Any, plain: Any):
    page("a", "one")
    with pytest.raises(ModelException, match="is taken by another row"):
        Page.create(name="b", text="one two", code="a")
    assert words(plain) == {b"Page:a": 1.0}


def test_a_command_that_fails_leaves_no_row(store: Any, plain: Any):
    plain.set(WORDS, "no sorted set")
    with pytest.raises(WrongType):
        page("a", "one")
    assert set(keyspace(plain)) == {WORDS}


def test_bulk_work_pipelines_and_twins_call_hooks_too(store: Any, plain: Any):
    pipe = store.pipeline()
    Page.create(pipeline=pipe, name="a", text="x", code="a")
    assert words(plain) == {}
    pipe.execute()
    Page.bulk_create([Page(name=name, text="x y", code=name) for name in "bc"])
    Page.get_or_create(name="d", defaults={"text": "x y z", "code": "d"})
    asyncio.run(Page.async_create(name="e", code="e", text="v w x y"))
    assert words(plain) == {f"Page:{name}".encode(): float(n) for name, n in zip("abcde", [1, 2, 2, 3, 4], strict=True)}
    assert Page.bulk_update(Page.query.filter(name__in=["a", "b"]), text="w x y z v") == 2
    assert Page.bulk_delete(Page.query.filter(name="c")) == 1
    assert words(plain) == {b"Page:a": 5.0, b"Page:b": 5.0, b"Page:d": 3.0, b"Page:e": 4.0}
    assert Page.delete_all() == 4
    assert keyspace(plain) == {}


def test_rebuild_indexes_calls_on_save(store: Any, plain: Any):
    for number in range(3):
        page(str(number), "x " * (number + 1))
    page("bad", "x")
    plain.hset("Page:bad", "text", b"\xc1")
    before = words(plain)
    plain.delete(WORDS)
    assert Page.rebuild_indexes() == 4
    del before[b"Page:bad"]
    assert words(plain) == before
    bad = Page.load(name="bad")
    assert bad is not None
    assert bad.delete() is True


def test_raw_update_refuses_a_field_with_hooks(store: Any, plain: Any):
    page("a", "one")
    with pytest.raises(ModelException, match=r"Page\.text keeps keys of its own through WordsField's hooks"):
        Page.raw_update(["Page:a"], text="one two")
    assert Page.raw_update(["Page:a"], state="done") == 1


def test_a_hook_is_told_what_was_saved_last(store: Any, plain: Any):
    seen: list[tuple[Any, ...]] = []

    class Told(Field):
        @classmethod
        def on_save(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
            before = model_instance._saved_field_values.get(field_name)
            seen.append((field_name, before, field_value, sorted(kwargs)))

        @classmethod
        def on_delete(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
            seen.append((field_name, field_value, kwargs["saved_redis_key"]))
            return super().on_delete(model_instance, field_name, field_value, pipeline=pipeline, **kwargs)

    class Known(Model):
        name = KeyField()
        value = Told()

    Known.create(name="a", value="x")
    row = Known.query.filter(name="a").first()
    assert row is not None
    row.value = "y"
    row.save(ignore_errors=True)
    row.value = "z"
    row.delete()
    assert seen == [
        ("value", None, "x", ["ignore_errors"]),
        ("value", "x", "y", ["ignore_errors"]),
        ("value", "y", "Known:a"),
    ]


def test_further_arguments_of_a_verb_are_told_to_hooks(store: Any, plain: Any):
    seen: list[dict[str, Any]] = []

    class Noted(Field):
        @classmethod
        def on_save(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
            seen.append(kwargs)

        @classmethod
        def on_delete(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
            seen.append(kwargs)

    class Card(Model):
        name = KeyField()
        value = Noted()

    card = Card(name="a", value="x")
    card.save(reason="new")
    asyncio.run(card.async_save(reason="again"))
    card.delete(reason="old")
    assert plain.keys() == []
    assert seen == [
        {"ignore_errors": False, "reason": "new"},
        {"ignore_errors": False, "reason": "again"},
        {"saved_redis_key": "Card:a", "reason": "old"},
    ]
    for wrong in ("update_field", "saved_redis_key", "ignore_error"):
        with pytest.raises(TypeError, match=wrong):
            card.save(**{wrong: True})
    assert plain.keys() == []


def test_further_arguments_that_no_hook_takes_are_refused(fake: Any, plain: Any):
    class Bare(Model):
        name = KeyField()

    row = Bare.create(name="a")
    before = plain.hgetall("Bare:a")
    row.__dict__["name"] = "a"
    with pytest.raises(TypeError, match=r"save\(\).*'reason'.*hook"):
        row.save(reason="x")
    with pytest.raises(TypeError, match="did you mean 'update_fields'"):
        row.save(update_field=["name"])
    with pytest.raises(TypeError, match=r"delete\(\).*'reason'"):
        row.delete(reason="x")
    assert plain.hgetall("Bare:a") == before


def test_keys_lie_in_the_namespace_and_slot_of_the_model(servers: Any):
    for url, prefix in (("fake://hooked?namespace=app", b"app:"), ("fake://hooked?hash_tags=1", b"{Page}")):
        with popoto.using(Connection(url)) as here:
            page("a", "one two")
            assert here.native.zrange(prefix + WORDS, 0, -1) == [b"Page:a"]
            assert [row.name for row in Page.query.filter(text__words_gte=2)] == ["a"]
            page("a", "one")
            assert Page.query.count(text__words_gte=2) == 0
            assert Page.delete_all() == 1
            assert list(here.native.scan_iter()) == []


def test_increments_tell_the_hook_the_sum(store: Any, plain: Any):
    class Ranked(IntField):
        @classmethod
        def on_save(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
            key = cls.get_special_use_field_db_key(model_instance, field_name)
            return pipeline.zadd(key, {model_instance.pk: field_value})

    class Score(Model):
        name = KeyField()
        points = Ranked(default=1)

    row, other = Score.create(name="a"), Score.load(name="a")
    assert other is not None
    with round_trips() as trips:
        assert row.atomic_increment("points", 4) == 5
    assert trips == 1
    assert other.atomic_increment("points", 2) == 7
    assert dict(plain.zrange("$RankF:Score:points", 0, -1, withscores=True)) == {b"Score:a": 7.0}


def test_the_pipeline_takes_what_clients_pipelines_take(store: Any, plain: Any):
    class Many(Field):
        @classmethod
        def on_save(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
            def key(name: str) -> str:
                return cls.get_special_use_field_db_key(model_instance, field_name, name).redis_key

            pipeline.sadd(key("set"), "a", b"b").srem(key("set"), "a")
            pipeline.hset(key("hash"), "f", 1).hset(key("hash"), mapping={"g": 2.5}).hincrby(key("hash"), "f", 4)
            pipeline.zadd(key("zset"), {"m": 1.5}).zincrby(key("zset"), 2, "m").zadd(key("zset"), {"m": 1}, gt=True)
            pipeline.rpush(key("list"), "x", "y", "z").ltrim(key("list"), 0, 1)
            pipeline.set(key("text"), "v", ex=100).incr(key("number")).incrby(key("number"), 5)
            pipeline.set(key("gone"), "v").set(key("gone2"), "v").delete(key("gone"), key("gone2"))
            pipeline.geoadd(key("geo"), (1.0, 2.0, "m")).xadd(key("stream"), {"a": "b"}, maxlen=5)
            pipeline.execute_command("SADD", DB_key("free", "a:b"), "x")

    class Full(Model):
        name = KeyField()
        value = Many()

    Full.create(name="a", value="v")
    base = "$ManyF:Full:value:"
    assert set(plain.smembers(f"{base}set")) == {b"b"}
    assert plain.hgetall(f"{base}hash") == {b"f": b"5", b"g": b"2.5"}
    assert plain.zscore(f"{base}zset", "m") == 3.5
    assert plain.lrange(f"{base}list", 0, -1) == [b"x", b"y"]
    assert (plain.get(f"{base}text"), plain.get(f"{base}number")) == (b"v", b"6")
    assert 0 < plain.ttl(f"{base}text") <= 100
    assert plain.exists(f"{base}gone", f"{base}gone2") == 0
    assert plain.zcard(f"{base}geo") == plain.xlen(f"{base}stream") == 1
    assert set(plain.smembers("free:a{&#58;}b")) == {b"x"}


@pytest.mark.parametrize(
    ("queue", "message"),
    [
        (lambda pipe: pipe.execute(), "'execute' cannot wait in the step of a save"),
        (lambda pipe: pipe.smembers("x"), "'smembers' cannot wait"),
        (lambda pipe: pipe.execute_command("KEYS", "*"), "KEYS cannot wait in the step of a save"),
        (lambda pipe: pipe.sadd("x", *map(str, range(3000))), "SADD has 3001 arguments"),
    ],
)
def test_what_cannot_wait_is_refused_before_anything_is_written(fake: Any, plain: Any, queue: Any, message: str):
    class Wrong(Field):
        @classmethod
        def on_save(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
            queue(pipeline)

    class Refused(Model):
        name = KeyField()
        value = Wrong()

    with pytest.raises(ModelException, match=message):
        Refused.create(name="a", value="v")
    assert keyspace(plain) == {}


def test_a_row_that_is_saved_during_a_rebuild_keeps_its_newer_entry(store: Any, plain: Any, monkeypatch: Any):
    page("a", "one two")

    def late(cls: Any, model_instance: Any, *args: Any, **kwargs: Any) -> Any:
        # Another writer, between the reading of the row and the writing of its entries.
        monkeypatch.undo()
        Page.create(name="a", text="one two three", code="a")
        return WordsField.on_save(model_instance, *args, **kwargs)

    monkeypatch.setattr(WordsField, "on_save", classmethod(late))
    assert Page.rebuild_indexes() == 1
    assert words(plain) == {b"Page:a": 3.0}
