"""Scripts: loaded on demand and again when forgotten, atomic, with replies and errors of a known form."""

from __future__ import annotations

import pytest

from popoto.exceptions import ReplyError, ScriptError, WrongType
from popoto.storage import Call, Step, ask, ask_all, round_trips
from popoto.storage.commands.hashes import hget, hset
from popoto.storage.commands.keys import exists
from popoto.storage.commands.lists import lrange, rpush
from popoto.storage.commands.scripting import call, script_exists, script_flush
from popoto.storage.commands.strings import get, incrby, set_
from popoto_conformance.cases import Keys, case, close_to, exactly
from popoto_conformance.walks import lua

ECHO = lua("echo", "return {#KEYS, #ARGV, KEYS[1], ARGV[1]}", writes=False)
NOTE = lua("note", "return redis.call('RPUSH', KEYS[1], ARGV[1])")
OTHER = lua("other", "redis.call('RPUSH', KEYS[1], 'other:' .. ARGV[1]) return 'done'")
READ = lua("read", "return redis.call('GET', KEYS[1])", writes=False)
WORDS = lua("words", "local n = 0 for i, word in ipairs(ARGV) do n = n + #word end return {#ARGV, n}", writes=False)


@case("lua")
async def test_a_script_gets_keys_and_arguments_as_bytes(k: Keys) -> None:
    odd = bytes(range(256))
    exactly(await ask(call(ECHO, [k(odd)], [odd, "b", 3])), [1, 3, k(odd), odd])
    exactly(await ask(call(ECHO, [k()], [""])), [1, 1, k(), b""])


@case("lua")
async def test_replies_are_bytes_whole_numbers_none_and_lists(k: Keys) -> None:
    text = "return {1, -7, 'text', '', false, {2, {3, 'deep'}, {}}, true, 3.99, redis.call('GET', KEYS[1])}"
    replies = await ask(call(lua("forms", text, writes=False), [k()]))
    exactly(replies, [1, -7, b"text", b"", None, [2, [3, b"deep"], []], 1, 3, None])
    exactly(await ask(call(lua("nil", "return nil", writes=False))), None)
    exactly(await ask(call(lua("empty", "return {}", writes=False))), [])
    exactly(await ask(call(lua("odd", "return ARGV[1]", writes=False), [], [b"\xff\x00\r\n"])), b"\xff\x00\r\n")


@case("lua")
async def test_numbers_leave_a_script_with_all_their_digits(k: Keys) -> None:
    script = lua("digits", "return string.format('%.17g', tonumber(ARGV[1]))", writes=False, shape=float)
    for number in (0.1, 1 / 3, 1e-7, 1e17, 1_700_000_000.123456, float(2**53 - 1)):
        exactly(await ask(call(script, [], [number])), number)


@case("lua")
async def test_the_shape_of_a_script_is_used(k: Keys) -> None:
    script = lua("shaped", "return {'a', '1', 'b', '2'}", writes=False, shape=lambda raw: raw[::2])
    exactly(await ask(call(script)), [b"a", b"b"])


@case("lua")
async def test_a_script_sees_and_makes_changes(k: Keys) -> None:
    await ask(set_(k(), "1"))
    exactly(await ask(call(READ, [k()])), b"1")
    exactly(await ask(call(NOTE, [k("list")], ["a"])), 1)
    exactly(await ask(lrange(k("list"), 0, -1)), [b"a"])


@case("lua")
async def test_a_forgotten_script_runs_all_the_same(k: Keys) -> None:
    for word in "ab":
        await ask(script_flush())
        exactly(await ask(script_exists(NOTE)), False)
        await ask(call(NOTE, [k()], [word]))
    exactly(await ask(script_exists(NOTE)), True)
    await ask(script_flush())
    exactly(await ask(call(READ, [k("none")])), None)
    exactly(await ask(lrange(k(), 0, -1)), [b"a", b"b"])


@case("lua")
async def test_forgotten_scripts_of_one_batch_run_once_and_in_order(k: Keys) -> None:
    await ask(call(OTHER, [k()], ["before"]))
    await ask(script_flush())
    calls = [Call(NOTE, [k()], ["1"]), Call(OTHER, [k()], ["2"]), Call(NOTE, [k()], ["3"]), Call(OTHER, [k()], ["4"])]
    exactly(await ask_all(calls), [2, b"done", 4, b"done"])
    exactly(await ask(lrange(k(), 0, -1)), [b"other:before", b"1", b"other:2", b"3", b"other:4"])


@case("lua")
async def test_half_forgotten_scripts_of_one_batch_keep_their_order(k: Keys) -> None:
    await ask(script_flush())
    await ask(call(OTHER, [k()], ["0"]))
    await ask_all([Call(NOTE, [k()], ["1"]), Call(OTHER, [k()], ["2"]), Call(NOTE, [k()], ["3"])])
    exactly(await ask(lrange(k(), 0, -1)), [b"other:0", b"1", b"other:2", b"3"])


@case("lua")
async def test_forgotten_scripts_among_commands_keep_their_place(k: Keys) -> None:
    await ask(script_flush())
    batch: list[Step] = [
        rpush(k(), "first"),
        Call(NOTE, [k()], ["second"]),
        rpush(k(), "third"),
        Call(NOTE, [k()], ["fourth"]),
    ]
    exactly(await ask_all(batch), [1, 2, 3, 4])
    exactly(await ask(lrange(k(), 0, -1)), [b"first", b"second", b"third", b"fourth"])


@case("lua")
async def test_a_script_forgotten_within_a_batch_keeps_its_place(k: Keys) -> None:
    await ask(call(NOTE, [k()], ["0"]))
    batch: list[Step] = [Call(NOTE, [k()], ["1"]), script_flush(), Call(NOTE, [k()], ["2"]), rpush(k(), "3")]
    replies = await ask_all(batch)
    exactly([replies[0], replies[1]], [2, True])
    exactly(await ask(lrange(k(), 0, -1)), [b"0", b"1", b"2", b"3"])


@case("lua")
async def test_a_known_script_among_others_is_one_round_trip(k: Keys) -> None:
    await ask(call(NOTE, [k()], ["0"]))
    with round_trips() as trips:
        await ask_all([set_(k("s"), 1), Call(NOTE, [k()], ["1"]), Call(READ, [k("s")]), Call(NOTE, [k()], ["2"])])
        await ask(call(NOTE, [k()], ["3"]))
    exactly(trips.count, 2)


@case("lua")
async def test_five_thousand_arguments(k: Keys) -> None:
    exactly(
        await ask(call(WORDS, [k()], [b"x" * (n % 7) for n in range(5000)])), [5000, sum(n % 7 for n in range(5000))]
    )


@case("lua")
async def test_an_argument_of_a_megabyte(k: Keys) -> None:
    exactly(await ask(call(WORDS, [], [b"\x00" * 2**20])), [1, 2**20])


@case("lua")
async def test_an_error_of_a_command_in_a_script_has_its_class(k: Keys) -> None:
    await ask(hset(k(), {"f": "1"}))
    with pytest.raises(WrongType) as caught:
        await ask(call(READ, [k()]))
    exactly(caught.value.code, "WRONGTYPE")


@case("lua")
async def test_a_script_that_fails_is_a_script_error(k: Keys) -> None:
    for text in ("error('out of order')", "return nil + 1", "local t = nil return t.x"):
        with pytest.raises(ScriptError):
            await ask(call(lua("fails", text, writes=False), [k()]))
    exactly(await ask(exists(k())), False)


@case("lua")
async def test_an_error_that_a_script_returns_keeps_its_code(k: Keys) -> None:
    script = lua("refuses", "return redis.error_reply('STALE ' .. ARGV[1])", writes=False)
    with pytest.raises(ReplyError) as caught:
        await ask(call(script, [k()], ["by three"]))
    exactly(caught.value.code, "STALE")
    assert "by three" in caught.value.text, caught.value.text


@case("lua")
async def test_an_error_of_a_script_stops_no_batch(k: Keys) -> None:
    await ask(hset(k("hash"), {"f": "1"}))
    batch: list[Step] = [incrby(k(), 1), Call(READ, [k("hash")]), incrby(k(), 1), Call(NOTE, [k("list")], ["x"])]
    one, error, two, length = await ask_all(batch, errors="return")
    exactly([one, two, length], [1, 2, 1])
    exactly(type(error), WrongType)
    exactly(await ask(get(k())), b"2")


@case("lua")
async def test_what_a_script_wrote_before_its_error_stays(k: Keys) -> None:
    script = lua("half", "redis.call('HSET', KEYS[1], 'f', '1') redis.call('INCR', KEYS[1])")
    with pytest.raises(ReplyError):
        await ask(call(script, [k()]))
    exactly(await ask(hget(k(), "f")), b"1")


@case("lua")
async def test_scores_are_text_with_all_digits_inside_a_script(k: Keys) -> None:
    text = "redis.call('ZADD', KEYS[1], ARGV[1], 'a') return redis.call('ZSCORE', KEYS[1], 'a')"
    close_to(await ask(call(lua("score", text, shape=float), [k()], [0.1])), 0.1, part=1e-16)


@case("cmsgpack")
async def test_msgpack_is_read_and_written_in_a_script(k: Keys) -> None:
    text = "local t = cmsgpack.unpack(ARGV[1]) return {cmsgpack.pack(t), t[1], t[2], #t}"
    # The list [1, "é", [2]] as msgpack.
    packed = b"\x93\x01\xa2\xc3\xa9\x91\x02"
    script = lua("msgpack", text, writes=False, needs="cmsgpack")
    exactly(await ask(call(script, [], [packed])), [packed, 1, b"\xc3\xa9", 3])
