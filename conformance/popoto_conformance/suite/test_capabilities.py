"""Capabilities: what is claimed works, what is not claimed is refused whole, and both drivers say the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from popoto.exceptions import CapabilityError
from popoto.storage import CAPABILITIES, Command, Connection, Guard, Info, Step, Txn, ask, ask_all
from popoto.storage import plugins as installed
from popoto.storage.capabilities import BASE
from popoto.storage.commands.bitmaps import bitcount, getbit, setbit
from popoto.storage.commands.channels import publish
from popoto.storage.commands.geo import geoadd, geobox, geopos, georadius
from popoto.storage.commands.hashes import hget, hpexpire, hpttl, hset
from popoto.storage.commands.keys import exists, pexpire
from popoto.storage.commands.scripting import call, script_exists
from popoto.storage.commands.sets import sintercard
from popoto.storage.commands.streams import xadd, xlen
from popoto_conformance.cases import Driver, Keys, exactly, not_applicable
from popoto_conformance.stores import Store
from popoto_conformance.walks import lua

RETURNS = lua("returns", "return ARGV[1]", writes=False)
PACKS = lua("packs", "return cmsgpack.unpack(cmsgpack.pack(7))", writes=False, needs="cmsgpack")
SPECIMENS: dict[str, Callable[[Keys], list[Step]]] = {
    "lua": lambda k: [
        call(RETURNS, [], ["x"]),
        script_exists(RETURNS),
        Txn([exists(k())], [Guard("absent", k("none"))]),
    ],
    "cmsgpack": lambda k: [call(PACKS)],
    "geo": lambda k: [geoadd(k(), 1, 2, "m"), geopos(k(), "m"), georadius(k(), 1, 2, 3)],
    "geo-box": lambda k: [geobox(k(), 1, 2, 3, 4)],
    "pubsub": lambda k: [publish(k(), "x")],
    "streams": lambda k: [xadd(k(), {"f": "1"}), xlen(k())],
    "bits": lambda k: [setbit(k(), 1, 1), getbit(k(), 1), bitcount(k())],
    "field-ttl": lambda k: [hpexpire(k(), 1000, "f"), hpttl(k(), "f")],
    "intercard": lambda k: [sintercard(k(), k("other"))],
    "expire-flags": lambda k: [pexpire(k(), 1000, only="XX")],
}
NO_STEPS = {"persistent"}


def described(driver: Driver, connection: Connection) -> Info:
    """What a driver's backend says of itself."""
    if driver.name == "sync":
        return connection.backend.info

    async def describe() -> Info:
        return await (await connection.lane()).backend.describe()

    return driver.runner.run(describe())


def test_every_capability_has_a_specimen() -> None:
    exactly(SPECIMENS.keys() | NO_STEPS, set(CAPABILITIES))


def test_the_backend_says_who_it_is_and_claims_known_capabilities(driver: Driver, connection: Connection) -> None:
    info = described(driver, connection)
    assert info.server and isinstance(info.server, str), info
    assert isinstance(info.version, str) and isinstance(info.capabilities, frozenset), info
    exactly(sorted(info.capabilities - set(CAPABILITIES)), [])
    assert BASE not in info.capabilities, "the base is not claimed: every backend has it"
    assert info == described(driver, connection)


def test_both_drivers_claim_the_same(connection: Connection, runner: asyncio.Runner) -> None:
    one, other = (described(Driver(name, runner), connection) for name in ("sync", "async"))
    exactly([one.capabilities, one.server, one.version], [other.capabilities, other.server, other.version])
    exactly(one.cluster, other.cluster)


def test_nothing_is_claimed_that_the_plugin_does_not_announce(store: Store) -> None:
    known = [one for one in installed() if store.given.scheme in one.schemes]
    if not known:
        raise not_applicable("no entry point announces the plug-in")
    exactly([one.error for one in known], [""])
    exactly(sorted(store.info.capabilities - known[0].capabilities), [])


@pytest.mark.parametrize(
    "capability",
    [pytest.param(name, marks=[pytest.mark.needs(name), pytest.mark.case]) for name in sorted(SPECIMENS)],
)
def test_what_is_claimed_works_and_what_is_not_is_refused_whole(
    capability: str, driver: Driver, connection: Connection, k: Keys
) -> None:
    steps = SPECIMENS[capability](k)
    if capability in connection.info.capabilities:
        exactly(len(driver.run(connection, ask_all(steps))), len(steps))
        return
    for step in steps:
        for batch in ([step], [hset(k("row"), {"f": "1"}), step], [step, hset(k("row"), {"f": "1"})]):
            with pytest.raises(CapabilityError, match=capability) as caught:
                driver.run(connection, ask_all(batch))
            exactly(caught.value.nothing_sent, True)
    exactly(driver.run(connection, ask(exists(k("row")))), False)
    exactly(driver.run(connection, ask_all([hset(k("row"), {"f": "2"}), hget(k("row"), "f")])), [1, b"2"])


def test_a_transaction_needs_what_its_commands_need(driver: Driver, connection: Connection, k: Keys) -> None:
    missing = SPECIMENS.keys() - connection.info.capabilities - {"lua", "cmsgpack", "pubsub"}
    if not missing:
        raise not_applicable("every capability of a command is claimed")
    for capability in missing:
        (step, *_) = SPECIMENS[capability](k)
        assert isinstance(step, Command), step
        with pytest.raises(CapabilityError):
            driver.run(connection, ask(Txn([hset(k("row"), {"f": "1"}), step])))
    exactly(driver.run(connection, ask(exists(k("row")))), False)


def test_who_asks_for_the_impossible_spoils_it_for_no_one(
    connection: Connection, runner: asyncio.Runner, k: Keys
) -> None:
    missing = sorted(SPECIMENS.keys() - connection.info.capabilities)
    if not missing:
        raise not_applicable("every capability is claimed")
    impossible = SPECIMENS[missing[0]](k)

    async def side_by_side() -> list[object]:
        plans = [connection.arun(ask_all(impossible)), connection.arun(ask(hset(k("row"), {"f": "1"})))]
        others = [connection.arun(ask(exists(k("none")))) for _ in range(5)]
        return list(await asyncio.gather(*plans, *others, return_exceptions=True))

    refused, done, *others = runner.run(side_by_side())
    exactly(type(refused), CapabilityError)
    exactly([done, others], [1, [False] * 5])
