"""Transactions: guards and commands see one moment; refused means unchanged, an error inside stops nothing."""

from __future__ import annotations

from typing import Any

import pytest

from popoto.exceptions import ReplyError, WrongType
from popoto.storage import Applied, Guard, Refused, Txn, ask, ask_all
from popoto.storage.commands.hashes import hget, hgetall, hincrby, hset
from popoto.storage.commands.keys import delete, exists, pexpire
from popoto.storage.commands.lists import lrange, rpush
from popoto.storage.commands.scripting import script_flush
from popoto.storage.commands.sets import sadd, smembers
from popoto.storage.commands.sorted_sets import zadd, zrange, zscore
from popoto.storage.commands.strings import get, incrby, set_
from popoto_conformance.cases import Keys, case, exactly
from popoto_conformance.walks import pause


def every_shape(k: Keys) -> tuple[Txn, list[Any]]:
    """A transaction of commands whose replies have many shapes, and the replies."""
    commands = [
        hset(k("h"), {"f": "1", "g": ""}),
        hgetall(k("h")),
        hget(k("h"), "none"),
        sadd(k("s"), "a", "b"),
        smembers(k("s")),
        zadd(k("z"), {"m": 0.1, "n": 1 / 3}),
        zrange(k("z"), 0, -1),
        zscore(k("z"), "m"),
        set_(k("v"), b"\xff"),
        set_(k("v"), "no", only="NX"),
        get(k("v")),
        exists(k("none")),
        rpush(k("l"), "x", "y"),
        lrange(k("l"), 0, -1),
    ]
    replies = [2, {b"f": b"1", b"g": b""}, None, 2, {b"a", b"b"}, 2, [(b"m", 0.1), (b"n", 1 / 3)], 0.1]
    return Txn(commands), [*replies, True, False, b"\xff", False, 2, [b"x", b"y"]]


@case()
async def test_replies_inside_have_the_shapes_they_have_outside(k: Keys) -> None:
    txn, expected = every_shape(k)
    exactly(await ask(txn), expected)


@case("lua")
async def test_replies_under_a_guard_have_the_shapes_they_have_outside(k: Keys) -> None:
    txn, expected = every_shape(k)
    replies = await ask(Txn(txn.commands, [Guard("absent", k("none"))]))
    assert isinstance(replies, list), replies
    # In a script a status reply may come back as a table or a text, and a score as text: the shapes smooth it out.
    exactly(replies, expected)


@case()
async def test_a_transaction_stands_in_its_batch_like_any_step(k: Keys) -> None:
    replies = await ask_all([incrby(k(), 1), Txn([incrby(k(), 1), get(k())]), incrby(k(), 1), Txn([get(k())])])
    exactly(replies, [1, Applied([2, b"2"]), 3, Applied([b"3"])])


@case()
async def test_an_error_inside_stands_in_its_place_and_stops_nothing(k: Keys) -> None:
    one, error, two = await ask_all_of(Txn([incrby(k(), 1), hget(k(), "f"), incrby(k(), 1)]))
    exactly([one, two], [1, 2])
    exactly(type(error), WrongType)
    exactly(await ask(get(k())), b"2")


@case("lua")
async def test_an_error_inside_a_guarded_one_stops_nothing_either(k: Keys) -> None:
    guards = [Guard("absent", k())]
    one, error, two = await ask_all_of(Txn([incrby(k(), 1), hget(k(), "f"), incrby(k(), 1)], guards))
    exactly([one, two], [1, 2])
    exactly(type(error), WrongType)
    exactly(await ask(get(k())), b"2")


async def ask_all_of(txn: Txn) -> list[Any]:
    replies = await ask(txn)
    assert isinstance(replies, list), replies
    return replies


@case("lua")
async def test_each_guard_holds_or_refuses(k: Keys) -> None:
    await ask(hset(k("row"), {"f": "1", "empty": ""}))
    row, none = k("row"), k("none")
    holding = [
        Guard("present", row),
        Guard("absent", none),
        Guard("field", row, b"f", b"1"),
        Guard("field", row, b"empty", b""),
        Guard("nofield", row, b"g"),
        Guard("nofield", none, b"f"),
    ]
    refusing = [
        Guard("present", none),
        Guard("absent", row),
        Guard("field", row, b"f", b"2"),
        Guard("field", row, b"f", b""),
        Guard("field", row, b"none", b""),
        Guard("field", none, b"f", b"1"),
        Guard("nofield", row, b"f"),
        Guard("nofield", row, b"empty"),
    ]
    for turn, guard in enumerate(holding, 1):
        exactly(await ask(Txn([incrby(k(), 1)], [guard])), [turn])
    for guard in refusing:
        exactly(await ask(Txn([incrby(k(), 1)], [guard])), Refused(0))
    exactly(await ask(get(k())), b"%d" % len(holding))


@case("lua")
async def test_the_first_guard_that_does_not_hold_is_named(k: Keys) -> None:
    await ask(set_(k(), 1))
    guards = [Guard("present", k()), Guard("absent", k("none")), Guard("absent", k()), Guard("present", k("none"))]
    exactly(await ask(Txn([delete(k())], guards)), Refused(2))
    exactly(await ask(exists(k())), True)


@case("lua")
async def test_guards_are_looked_at_when_it_is_the_transactions_turn(k: Keys) -> None:
    guard = [Guard("absent", k("claim"))]
    claim = [set_(k("claim"), "mine"), incrby(k(), 1)]
    replies = await ask_all([Txn(claim, guard), Txn(claim, guard), delete(k("claim")), Txn(claim, guard)])
    exactly(replies, [Applied([True, 1]), Refused(0), 1, Applied([True, 2])])


@case("lua")
async def test_guards_are_looked_at_before_the_commands(k: Keys) -> None:
    txn = Txn([set_(k(), "mine"), get(k())], [Guard("absent", k())])
    exactly(await ask(txn), [True, b"mine"])
    exactly(await ask(txn), Refused(0))


@case("lua")
async def test_a_guard_on_another_kind_is_an_error_and_changes_nothing(k: Keys) -> None:
    await ask(set_(k("text"), "x"))
    for guard in (Guard("field", k("text"), b"f", b"1"), Guard("nofield", k("text"), b"f")):
        with pytest.raises(WrongType):
            await ask(Txn([incrby(k(), 1)], [Guard("absent", k("none")), guard]))
    exactly(await ask(exists(k())), False)


@case("lua")
async def test_guards_compare_bytes(k: Keys) -> None:
    value = bytes(range(256))
    await ask(hset(k(), {value: value}))
    exactly(await ask(Txn([exists(k())], [Guard("field", k(), value, value)])), [True])
    exactly(await ask(Txn([exists(k())], [Guard("field", k(), value, value + b"\x00")])), Refused(0))


@case("lua")
async def test_what_has_expired_is_absent_to_a_guard(k: Keys) -> None:
    claim = Txn([incrby(k("n"), 1)], [Guard("absent", k())])
    exactly(await ask_all([set_(k(), 1), claim, pexpire(k(), 20)]), [True, Refused(0), True])
    await pause(0.05)
    exactly(await ask(claim), [1])


@case("lua")
async def test_guarded_transactions_survive_a_lost_script_cache(k: Keys) -> None:
    txn = Txn([rpush(k(), "x")], [Guard("absent", k("none"))])
    await ask(txn)
    await ask(script_flush())
    exactly(await ask(txn), [2])
    await ask(script_flush())
    exactly(await ask_all([rpush(k(), "y"), txn, rpush(k(), "z"), txn]), [3, Applied([4]), 5, Applied([6])])
    exactly(await ask(lrange(k(), 0, -1)), [b"x", b"x", b"y", b"x", b"z", b"x"])


@case()
async def test_a_transaction_of_a_thousand_commands(k: Keys) -> None:
    exactly(await ask(Txn([hincrby(k(), "n", 1) for _ in range(1000)])), list(range(1, 1001)))


@case("lua")
async def test_a_guarded_transaction_with_a_large_command(k: Keys) -> None:
    values = {f"f{n}": str(n) for n in range(2000)}
    exactly(await ask(Txn([hset(k(), values)], [Guard("absent", k())])), [2000])
    exactly(await ask(hget(k(), "f1999")), b"1999")


@case()
async def test_an_expiry_in_the_past_removes_at_once_inside_too(k: Keys) -> None:
    await ask(set_(k(), "x"))
    exactly(await ask(Txn([pexpire(k(), 0), exists(k()), incrby(k(), 1)])), [True, False, 1])
    exactly(await ask(get(k())), b"1")


@case()
async def test_a_malformed_command_inside_leaves_everything_unchanged(k: Keys) -> None:
    # The server refuses it when it is queued, and so the whole transaction.
    with pytest.raises(ReplyError):
        await ask(Txn([incrby(k(), 1), sadd(k("s")), incrby(k(), 1)]))
    exactly(await ask(exists(k())), False)
