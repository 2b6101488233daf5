"""Meta.ttl, `_ttl` and `_expire_at` decide a row's time to live; what a row keeps survives loading and saving."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stored import keyspace

from popoto import Field, IndexedField, KeyField, Model, ModelException


class Session(Model):
    name = KeyField()
    kind = IndexedField()

    class Meta:
        ttl = 100


class Lasting(Model):
    name = KeyField()
    text = Field()


def seconds(plain: Any, key: str) -> float | None:
    """The rest of a key's life, rounded up; None when it lives for ever."""
    left = plain.pttl(key)
    assert left != -2
    return None if left == -1 else -(-left // 1000)


def load(key: str) -> Any:
    found = (Session if key.startswith("Session") else Lasting).load(key)
    assert found is not None
    return found


def test_meta_ttl_is_renewed_by_every_save(store: Any, plain: Any):
    made = Session.create(name="a")
    assert seconds(plain, "Session:a") == 100
    plain.pexpire("Session:a", 5000)
    made.kind = "x"
    made.save()
    assert seconds(plain, "Session:a") == 100
    plain.pexpire("Session:a", 5000)
    load("Session:a").save(update_fields=["kind"])
    assert seconds(plain, "Session:a") == 100


def test_a_row_without_any_ttl_lives_for_ever(store: Any, plain: Any):
    Lasting.create(name="a")
    assert seconds(plain, "Lasting:a") is None


def test_the_instances_own_ttl_wins_and_survives_loading(store: Any, plain: Any):
    Session.create(name="a", _ttl=9)
    assert seconds(plain, "Session:a") == 9
    found = load("Session:a")
    found.kind = "x"
    found.save()
    assert seconds(plain, "Session:a") == 9
    found = Session.query.filter(kind="x")[0]
    found.kind = "y"
    found.save()
    assert seconds(plain, "Session:a") == 9


def test_a_fractional_ttl_is_kept_in_milliseconds(store: Any, plain: Any):
    Lasting.create(name="a", _ttl=1000.5)
    assert 1000_000 < plain.pttl("Lasting:a") <= 1000_500


def test_none_makes_a_row_permanent_and_it_stays_so(store: Any, plain: Any):
    Session.create(name="a", _ttl=None)
    assert seconds(plain, "Session:a") is None
    found = load("Session:a")
    found.kind = "x"
    found.save()
    assert seconds(plain, "Session:a") is None


def test_clearing_the_ttl_of_a_stored_row_persists_it(store: Any, plain: Any):
    Session.create(name="a")
    found = load("Session:a")
    found._ttl = None
    found.save()
    assert seconds(plain, "Session:a") is None
    load("Session:a").save()
    assert seconds(plain, "Session:a") is None


def test_a_ttl_can_be_given_back(store: Any, plain: Any):
    Session.create(name="a", _ttl=None)
    found = load("Session:a")
    found._ttl = 100
    found.save()
    assert seconds(plain, "Session:a") == 100
    plain.pexpire("Session:a", 5000)
    load("Session:a").save()
    assert seconds(plain, "Session:a") == 100


def test_expire_at_is_a_moment_that_saves_do_not_move(store: Any, plain: Any):
    moment = datetime.now(UTC) + timedelta(seconds=500)
    Session.create(name="a", _expire_at=moment, _ttl=None)
    assert 490 <= seconds(plain, "Session:a") <= 500  # type: ignore[operator]
    found = load("Session:a")
    found.kind = "x"
    found.save()
    assert 490 <= seconds(plain, "Session:a") <= 500  # type: ignore[operator]


def test_a_naive_moment_is_local_time(store: Any, plain: Any):
    Lasting.create(name="a", _expire_at=datetime.now() + timedelta(seconds=300))
    assert 290 <= seconds(plain, "Lasting:a") <= 300  # type: ignore[operator]


def test_expire_at_alone_wins_over_meta_ttl(store: Any, plain: Any):
    made = Session(name="a")
    made._ttl, made._expire_at = None, datetime.now(UTC) + timedelta(seconds=500)
    made.save()
    assert 490 <= seconds(plain, "Session:a") <= 500  # type: ignore[operator]


def test_a_moment_beside_the_models_ttl_is_refused_until_the_ttl_is_cleared(store: Any, plain: Any):
    with pytest.raises(ModelException, match=r"_ttl=100 and _expire_at=.* are both set: keep one"):
        Session.create(name="a", _expire_at=datetime.now(UTC) + timedelta(seconds=500))
    assert keyspace(plain) == {}


def test_replacing_a_row_takes_the_models_ttl(store: Any, plain: Any):
    Session.create(name="a", _ttl=9)
    Session.create(name="a")
    assert seconds(plain, "Session:a") == 100
    Lasting.create(name="a", _ttl=9)
    Lasting.create(name="a")
    assert seconds(plain, "Lasting:a") is None
    assert b"$ttl" not in plain.hgetall("Lasting:a")


def test_rows_of_the_models_ttl_keep_no_mark(store: Any, plain: Any):
    Session.create(name="a")
    assert plain.hkeys("Session:a") == [b"name", b"kind"]


def test_an_expired_row_is_found_by_nobody_and_frees_its_key(store: Any, plain: Any):
    Session.create(name="a", kind="x")
    Session.create(name="b", kind="x")
    plain.pexpireat("Session:a", int(time.time() * 1000) - 1000)
    assert [row.name for row in Session.query.filter(kind="x")] == ["b"]
    assert [row.name for row in Session.query.all()] == ["b"]
    assert Session.query.count(kind="x") == 1
    assert Session.query.get(name="a") is None
    Session.create(name="a", kind="y")
    assert [row.name for row in Session.query.filter(kind="x")] == ["b"]
    assert Session.query.count() == 2


def test_a_renamed_row_keeps_its_own_ttl(store: Any, plain: Any):
    Session.create(name="a", _ttl=9)
    found = load("Session:a")
    found.name = "b"
    found.save(migrate_key=True)
    assert seconds(plain, "Session:b") == 9
    load("Session:b").save()
    assert seconds(plain, "Session:b") == 9


def test_async_and_pipelined_saves_expire_alike(store: Any, plain: Any):
    asyncio.run(Session.async_create(name="a"))
    pipe = store.pipeline()
    Session.create(pipeline=pipe, name="b", _ttl=7)
    pipe.execute()
    assert (seconds(plain, "Session:a"), seconds(plain, "Session:b")) == (100, 7)


@pytest.mark.parametrize("wrong", [0, -5, "5", True, 2**50])
def test_a_bad_ttl_on_a_loaded_row_writes_nothing(store: Any, plain: Any, wrong: Any):
    Session.create(name="a")
    found = load("Session:a")
    before = keyspace(plain)
    found._ttl = wrong
    with pytest.raises(Exception, match="must be a positive number of seconds"):
        found.save()
    assert keyspace(plain) == before
