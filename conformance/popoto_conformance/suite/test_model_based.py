"""Random batches: the store and a model in plain Python give the same replies and end in the same state."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from popoto.exceptions import ReplyError
from popoto.storage import Applied, Command, Connection, Guard, Step, Txn, ask_all
from popoto.storage.commands.hashes import hdel, hexists, hget, hgetall, hincrby, hlen, hmget, hset, hsetnx
from popoto.storage.commands.keys import delete, exists, persist, pexpire, pttl, rename, renamenx, type_of
from popoto.storage.commands.lists import llen, lpop, lpush, lrange, ltrim, rpop, rpush
from popoto.storage.commands.sets import sadd, scard, sdiff, sismember, smembers, smismember, srem, sunion
from popoto.storage.commands.sorted_sets import (
    bound,
    zadd,
    zcard,
    zcount,
    zincrby,
    zmscore,
    zpopmin,
    zrange,
    zrangebyscore,
    zrank,
    zrem,
    zremrangebyrank,
    zremrangebyscore,
    zscore,
)
from popoto.storage.commands.strings import append, get, incrby, mget, set_, strlen
from popoto_conformance.cases import Driver, Keys, exactly
from popoto_conformance.oracle import Failure, Oracle

EXAMPLES = int(os.environ.get("POPOTO_EXAMPLES", "25"))
# Who asks for more examples wants to know why one fails; else a failure should come soon.
PHASES = (Phase.generate, Phase.shrink) if "POPOTO_EXAMPLES" in os.environ else (Phase.generate,)
STEPS = 12
NAMES = [b"a", b"b\x00", b"c d\n", "é".encode()]
# Keys are told apart by a prefix that each run puts before them.
key = st.sampled_from(NAMES)
value = st.sampled_from([b"", b"0", b"7", b"-3", b"01", b"9223372036854775807", b"x", b"\xff\x00\r\n", "é".encode()])
member = st.sampled_from([b"", b"a", b"ab", b"b", b"B", b"\x00", b"\xff", "é".encode(), b"10", b"9"])
members = st.lists(member, min_size=1, max_size=4)
amount = st.integers(-5, 5) | st.just(2**62)
place = st.integers(-6, 6)
score = st.sampled_from([0.0, 1.0, 1.5, 2.0, -1.0, 0.1, 1e17, 1e-7, float("inf"), float("-inf")])
edge = st.builds(lambda number, open_: bound(number, exclusive=open_), score, st.booleans())
condition = st.sampled_from([None, "NX", "XX"])
Build = Callable[..., Command[Any]]
Parts = tuple[Build, tuple[Any, ...], dict[str, Any]]


def step(build: Build, *parts: st.SearchStrategy[Any], **words: st.SearchStrategy[Any]) -> st.SearchStrategy[Parts]:
    """A command whose key comes first and is put in later."""
    return st.tuples(st.just(build), st.tuples(*parts), st.fixed_dictionaries(words))


def spread(build: Build) -> Build:
    """A constructor that takes its last part as a list."""
    return lambda *parts: build(*parts[:-1], *parts[-1])


pairs = st.dictionaries(member, value, min_size=1, max_size=4)
weights = st.dictionaries(member, score, min_size=1, max_size=4)
only = st.sampled_from([None, "NX", "XX", "GT", "LT"])
inside = st.one_of(
    *[step(build) for build in (hgetall, hlen, smembers, scard, zcard, get, strlen, llen, exists, type_of, persist)],
    *[step(build) for build in (lpop, rpop, delete)],
    *[step(build, member) for build in (hget, hexists, sismember, zscore, zrank)],
    *[step(spread(build), members) for build in (hmget, hdel, sadd, srem, smismember, zrem, zmscore, rpush, lpush)],
    step(hset, pairs),
    step(hsetnx, member, value),
    step(hincrby, member, amount),
    step(set_, value, only=condition, milliseconds=st.sampled_from([None, 500_000])),
    step(append, value),
    step(incrby, amount),
    step(pexpire, st.sampled_from([500_000, 900_000])),
    step(lrange, place, place),
    step(ltrim, place, place),
    step(zadd, weights, only=only, changed=st.booleans()),
    step(zincrby, score, member),
    step(zcount, edge, edge),
    step(zrange, place, place, reverse=st.booleans()),
    step(zrangebyscore, edge, edge, reverse=st.booleans(), offset=st.integers(0, 2), count=st.integers(-1, 3)),
    step(zremrangebyscore, edge, edge),
    step(zremrangebyrank, place, place),
    step(zpopmin, st.integers(1, 3)),
)
# A case of its own looks at what an expiry in the past does inside a transaction.
one_key = inside | step(pexpire, st.sampled_from([0, -1]))
two_keys = st.tuples(st.sampled_from([rename, renamenx, mget, sunion, sdiff, delete]), key, key)
guards = st.lists(
    st.tuples(st.sampled_from(["absent", "present", "field", "nofield"]), key, member, value), min_size=1, max_size=2
)


class Machine(RuleBasedStateMachine):
    """Does the same to a store and to the model of one."""

    driver: Driver
    connection: Connection
    k: Keys

    def __init__(self) -> None:
        super().__init__()
        self.oracle = Oracle()
        self.run([delete(*map(self.k, NAMES))])

    def run(self, steps: list[Step]) -> list[Any]:
        replies = self.driver.run(self.connection, ask_all(steps, errors="return"))
        return [told(reply) for reply in replies]

    def both(self, steps: list[Step]) -> None:
        replies, expected = self.run(steps), self.oracle.execute(steps)
        for step, reply, right in zip(steps, replies, expected, strict=True):
            try:
                exactly(reply, right)
            except AssertionError as error:
                raise AssertionError(f"{step!r} in {steps!r}: {error}") from None

    def built(self, name: bytes, parts: Parts) -> Command[Any]:
        build, positional, words = parts
        return build(self.k(name), *positional, **words)

    @rule(batch=st.lists(st.tuples(key, one_key), min_size=1, max_size=8))
    def a_batch(self, batch: list[tuple[bytes, Parts]]) -> None:
        self.both([self.built(name, parts) for name, parts in batch])

    @rule(parts=two_keys)
    def a_command_of_two_keys(self, parts: tuple[Build, bytes, bytes]) -> None:
        build, one, other = parts
        self.both([build(self.k(one), self.k(other))])

    @rule(batch=st.lists(st.tuples(key, inside), min_size=1, max_size=5), first=key)
    def a_transaction(self, batch: list[tuple[bytes, Parts]], first: bytes) -> None:
        txn = Txn([self.built(name, parts) for name, parts in batch])
        self.both([incrby(self.k(first), 1), txn, exists(self.k(first))])

    @rule(batch=st.lists(st.tuples(key, inside), min_size=1, max_size=5), conditions=guards)
    def a_guarded_transaction(self, batch: list[tuple[bytes, Parts]], conditions: list[Any]) -> None:
        if "lua" in self.connection.info.capabilities:
            held = [Guard(kind, self.k(name), field, wanted) for kind, name, field, wanted in conditions]
            self.both([Txn([self.built(name, parts) for name, parts in batch], held)])

    def teardown(self) -> None:
        for name in map(self.k, NAMES):
            kind = self.oracle.type(name)
            reads: dict[bytes, Step] = {
                b"hash": hgetall(name),
                b"set": smembers(name),
                b"zset": zrange(name, 0, -1),
                b"list": lrange(name, 0, -1),
                b"string": get(name),
            }
            self.both([type_of(name), reads.get(kind, exists(name))])
            left = self.run([pttl(name)])[0]
            exactly(left if left < 0 else 1, 1 if name in self.oracle.expiring else -1 if kind != b"none" else -2)


def told(reply: Any) -> Any:
    """A reply with each error as its code alone."""
    if isinstance(reply, ReplyError):
        return Failure(reply.code)
    return Applied([told(one) for one in reply.replies]) if isinstance(reply, Applied) else reply


def test_the_store_does_as_the_model_does(driver: Driver, connection: Connection, k: Keys) -> None:
    words = {"driver": driver, "connection": connection, "k": k}
    machine = type("StoreMachine", (Machine,), words)
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=PHASES,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)
