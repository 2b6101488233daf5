"""Keys: any bytes will do, every kind has a name, renaming replaces, a walk finds them all."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError
from popoto.storage import Command, ask, ask_all
from popoto.storage.commands.hashes import hget, hgetall, hset
from popoto.storage.commands.keys import delete, exists, pexpire, pttl, rename, renamenx, scan, type_of
from popoto.storage.commands.lists import rpush
from popoto.storage.commands.sets import sadd
from popoto.storage.commands.sorted_sets import zadd
from popoto.storage.commands.strings import get, set_
from popoto_conformance.cases import Keys, case, exactly
from popoto_conformance.walks import walked


@case()
async def test_exists_is_a_truth_value(k: Keys) -> None:
    exactly(await ask(exists(k())), False)
    await ask(set_(k(), ""))
    exactly(await ask(exists(k())), True)


@case()
async def test_delete_counts_the_keys_that_were_there(k: Keys) -> None:
    await ask_all([set_(k("a"), 1), hset(k("b"), {"f": 1}), sadd(k("c"), 1)])
    exactly(await ask(delete(k("a"), k("none"), k("b"))), 2)
    exactly(await ask_all([exists(k("a")), exists(k("b")), exists(k("c"))]), [False, False, True])
    exactly(await ask(delete(k("a"))), 0)


@case()
async def test_every_kind_has_a_name(k: Keys) -> None:
    await ask_all([set_(k("s"), 1), hset(k("h"), {"f": 1}), sadd(k("m"), 1), zadd(k("z"), {"a": 1})])
    await ask(rpush(k("l"), 1))
    names = [await ask(type_of(k(name))) for name in ("s", "h", "m", "z", "l", "none")]
    exactly(names, [b"string", b"hash", b"set", b"zset", b"list", b"none"])


@case()
async def test_a_key_may_hold_every_byte(k: Keys) -> None:
    names = [bytes([n]) for n in range(256)] + [b"", bytes(range(256)), "Käse:{x}".encode(), b"x" * 10_000]
    await ask_all([set_(k(name), b"v" + name) for name in names])
    exactly(await ask_all([get(k(name)) for name in names]), [b"v" + name for name in names])


@case()
async def test_keys_differ_by_one_byte(k: Keys) -> None:
    names = [b"a", b"A", b"a ", b" a", b"a\x00", b"a\n", b"\xc3\xa4", b"a\xcc\x88"]
    await ask_all([set_(k(name), name) for name in names])
    exactly([await ask(get(k(name))) for name in names], names)


@case()
async def test_rename_moves_value_and_expiry_and_replaces_the_target(k: Keys) -> None:
    await ask_all([hset(k("old"), {"f": "1"}), pexpire(k("old"), 90_000), set_(k("new"), "gone")])
    exactly(await ask(rename(k("old"), k("new"))), True)
    exactly(await ask(hgetall(k("new"))), {b"f": b"1"})
    exactly(await ask(exists(k("old"))), False)
    assert 80_000 < await ask(pttl(k("new"))) <= 90_000


@case()
async def test_rename_takes_the_targets_expiry_away(k: Keys) -> None:
    await ask_all([set_(k("old"), "1"), set_(k("new"), "gone"), pexpire(k("new"), 90_000)])
    await ask(rename(k("old"), k("new")))
    exactly(await ask_all([get(k("new")), pttl(k("new"))]), [b"1", -1])


@case()
async def test_a_key_may_be_renamed_to_itself(k: Keys) -> None:
    await ask_all([set_(k(), "1"), pexpire(k(), 90_000)])
    exactly(await ask_all([rename(k(), k()), renamenx(k(), k())]), [True, False])
    exactly(await ask(get(k())), b"1")
    assert 80_000 < await ask(pttl(k())) <= 90_000


@case()
async def test_rename_of_a_missing_key_is_an_error(k: Keys) -> None:
    await ask(set_(k("new"), "kept"))
    with pytest.raises(ReplyError):
        await ask(rename(k("old"), k("new")))
    exactly(await ask(get(k("new"))), b"kept")


@case()
async def test_renamenx_spares_the_target(k: Keys) -> None:
    await ask_all([hset(k("a"), {"f": "1"}), hset(k("b"), {"f": "2"})])
    exactly(await ask(renamenx(k("a"), k("b"))), False)
    exactly(await ask_all([hget(k("a"), "f"), hget(k("b"), "f")]), [b"1", b"2"])
    exactly(await ask(renamenx(k("a"), k("c"))), True)
    exactly(await ask_all([exists(k("a")), hget(k("c"), "f")]), [False, b"1"])


@case()
async def test_a_walk_finds_every_key_that_matches(k: Keys) -> None:
    wanted = {k(b"walk:%d" % n) for n in range(60)}
    await ask_all([set_(key, 1) for key in wanted])
    await ask(set_(k("other"), 1))
    pattern = k.prefix.replace(b"[", b"\\[") + b"walk:*"
    pages = await walked(lambda cursor: _scanned(pattern, cursor))
    exactly({type(page) for page in pages}, {list})
    exactly({key for page in pages for key in page}, wanted)


def _scanned(pattern: bytes, cursor: int) -> Command[tuple[int, list[bytes]]]:
    return scan(cursor, match=pattern, count=1000)
