"""Whatever is cut, full or read-only: the old state or the new one, never between, and the error says which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from proxy import Direction, Proxy
from servers import KINDS, Servers
from stored import keyspace, stray_entries

from popoto import Field, IndexedField, KeyField, Model, OutcomeUnknown, SortedField, Unavailable, UniqueField, using
from popoto.exceptions import Denied, OutOfMemory, ReadOnly, ReplyError
from popoto.storage import Connection

# A save is some 600 bytes: every 7th byte of it hits each of its parts.
STEP = 7


class Part(Model):
    name = KeyField()
    kind = IndexedField()
    code = UniqueField()
    rank = SortedField(default=0.0, partition_by="kind")
    text = Field()


def create() -> Any:
    return Part.create(name="b", kind="new", code="n", rank=2.0)


def change() -> Any:
    row = Part(name="a")
    row.__dict__.update(_redis_key="Part:a", _raw={"name": b"\xa1a"})
    row.kind, row.code, row.rank = "new", "n", 2.0
    return row.save(update_fields=["kind", "code", "rank"])


def rename() -> Any:
    row = Part(name="b", kind="old", code="o", rank=1.0)
    row.__dict__.update(_redis_key="Part:a", _raw={"name": b"\xa1a"})
    return row.save(migrate_key=True)


def delete() -> Any:
    return Part(name="a", code="o").delete()


VERBS: dict[str, Callable[[], Any]] = {"create": create, "change": change, "rename": rename, "delete": delete}


def begin(plain: Any) -> None:
    plain.flushall()
    with_row = Part(name="a", kind="old", code="o", rank=1.0)
    with_row.save()


def lengths(
    proxy: Proxy, plain: Any, work: Callable[[], Any]
) -> tuple[dict[bytes, Any], dict[bytes, Any], dict[Direction, int]]:
    """The states before and after, and how many bytes each direction takes, once the script is known."""
    begin(plain)
    work()
    begin(plain)
    before = keyspace(plain)
    requested, replied = proxy.requested, proxy.replied
    work()
    return before, keyspace(plain), {"request": proxy.requested - requested, "reply": proxy.replied - replied}


@pytest.mark.parametrize("verb", VERBS)
def test_a_cut_connection_leaves_the_old_state_or_the_new(proxied: Connection, proxy: Proxy, plain: Any, verb: str):
    work = VERBS[verb]
    before, after, sizes = lengths(proxy, plain, work)
    assert before != after
    seen = set()
    for direction, size in sizes.items():
        for count in [*range(0, size, STEP if direction == "request" else 1), size - 1]:
            begin(plain)
            proxy.cut(direction, count)
            with pytest.raises((OutcomeUnknown, Unavailable)):
                work()
            now = keyspace(plain)
            assert now in (before, after), f"cut after {count} of {size} bytes of the {direction}"
            if direction == "request":
                assert now == before
            else:
                assert now == after
            seen.add(direction)
            assert stray_entries(plain, Part) == []
    assert seen == {"request", "reply"}


def test_a_cut_async_save_is_whole_too(proxied: Connection, proxy: Proxy, plain: Any):
    before, after, sizes = lengths(proxy, plain, create)

    async def work(direction: Direction, count: int) -> None:
        assert await Part.query.async_count() == 1
        proxy.cut(direction, count)
        with pytest.raises(OutcomeUnknown):
            await Part.async_create(name="b", kind="new", code="n", rank=2.0)

    for direction, size in sizes.items():
        for count in range(0, size, 60 if direction == "request" else 2):
            begin(plain)
            asyncio.run(work(direction, count))
            assert keyspace(plain) == (before if direction == "request" else after)


def test_a_cut_read_is_asked_again(proxied: Connection, proxy: Proxy, plain: Any):
    begin(plain)
    assert Part.query.get(name="a") is not None
    for direction in ("request", "reply"):
        for count in (0, 3, 20):
            proxy.cut(direction, count)
            assert Part.query.get(name="a") is not None
            proxy.cut(direction, count)
            assert Part.query.count(kind="old") == 1


def test_a_save_after_a_lost_one_says_how_it_stands(proxied: Connection, proxy: Proxy, plain: Any):
    row = Part(name="a", kind="k", code="c")
    Part.query.count()
    proxy.cut("reply", 0)
    with pytest.raises(OutcomeUnknown, match="may have run"):
        row.save()
    assert row._redis_key is None
    row.save()
    assert stray_entries(plain, Part) == []


def test_a_server_that_nobody_is_at_writes_nothing_and_says_so(fake: Connection):
    with using(Connection("redis://127.0.0.1:1")), pytest.raises(Unavailable, match="cannot be reached"):
        create()


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.server) for name in KINDS])
def own(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Any:
    """A server that a test may fill, stop and reconfigure."""
    port = servers.start(KINDS[request.param].program(), tmp_path)
    made = Connection(f"{KINDS[request.param].scheme}://127.0.0.1:{port}/0")
    with using(made):
        yield made
    made.close()


@pytest.mark.parametrize("verb", ["create", "change", "rename"])
def test_a_full_server_refuses_before_anything_changed(own: Connection, verb: str):
    plain = own.native
    begin(plain)
    before = keyspace(plain)
    plain.config_set("maxmemory", "1")
    with pytest.raises(OutOfMemory):
        VERBS[verb]()
    assert keyspace(plain) == before
    assert Part.query.get(name="a") is not None
    assert Part.query.count(kind="old") == 1
    plain.config_set("maxmemory", "0")
    VERBS[verb]()
    assert keyspace(plain) != before
    assert stray_entries(plain, Part) == []


def test_a_full_server_still_deletes(own: Connection):
    plain = own.native
    begin(plain)
    plain.config_set("maxmemory", "1")
    assert Part.query.filter(kind="old")[0].delete() is True
    assert keyspace(plain) == {}


@pytest.mark.parametrize("verb", VERBS)
def test_a_read_only_replica_refuses_and_still_reads(own: Connection, verb: str):
    plain = own.native
    begin(plain)
    before = keyspace(plain)
    plain.config_set("replica-serve-stale-data", "yes")
    plain.execute_command("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(ReadOnly):
        VERBS[verb]()
    assert Part.query.count(kind="old") == 1
    plain.execute_command("REPLICAOF", "NO", "ONE")
    assert keyspace(plain) == before


def test_a_user_without_rights_harms_no_row(own: Connection):
    plain = own.native
    begin(plain)
    before = keyspace(plain)
    plain.execute_command("ACL", "SETUSER", "half", "on", ">pw", "~*", "+@all", "-sadd")
    port = own.url.hosts[0][1]
    limited = Connection(f"{own.url.scheme}://half:pw@127.0.0.1:{port}/0")
    with using(limited), pytest.raises(ReplyError) as caught:
        create()
    limited.close()
    assert "pw@" not in str(caught.value)
    assert {key: row for key, row in keyspace(plain).items() if key in before} == before


def test_a_user_of_some_keys_alone_has_all_of_the_model(own: Connection):
    plain = own.native
    plain.execute_command(
        "ACL", "SETUSER", "app", "on", ">pw", "~Part:*", "~$*:Part", "~$*:Part:*", "+@all", "-@dangerous"
    )
    limited = Connection(f"{own.url.scheme}://app:pw@127.0.0.1:{own.url.hosts[0][1]}/0")
    with using(limited):
        create()
        assert stray_entries(plain, Part) == []
        assert (Part.query.count(), Part.query.get(kind="new").name) == (1, "b")
    limited.close()


def test_a_user_who_may_run_no_script_is_told_so(own: Connection):
    plain = own.native
    begin(plain)
    before = keyspace(plain)
    plain.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+@connection")
    limited = Connection(f"{own.url.scheme}://reader:pw@127.0.0.1:{own.url.hosts[0][1]}/0")
    with using(limited):
        assert Part.load(name="a").kind == "old"
        with pytest.raises(Denied, match="eval"):
            create()
    limited.close()
    assert keyspace(plain) == before


@pytest.mark.parametrize("index", [b"$KeyF:Part:name:b", b"$IndexF:Part:kind:new", b"$UniquF:Part:code:n",
                                   b"$SortF:Part:rank:new", b"$Class:Part", b"Part:b"])  # fmt: skip
@pytest.mark.parametrize("verb", ["create", "change", "rename"])
def test_a_key_of_the_wrong_type_is_found_before_the_first_write(
    store: Connection, plain: Any, index: bytes, verb: str
):
    begin(plain)
    plain.delete(index)
    plain.set(index, "text")
    before = keyspace(plain)
    failed = False
    try:
        VERBS[verb]()
    except Exception:
        failed = True
        assert keyspace(plain) == before
    touched = {"create": True, "change": index not in (b"$KeyF:Part:name:b", b"Part:b"),
               "rename": index in (b"$KeyF:Part:name:b", b"Part:b", b"$Class:Part")}  # fmt: skip
    assert failed == touched[verb]
