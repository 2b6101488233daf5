"""Faults on the way to the store: what is lost is told, what writes is sent once, what reads is asked again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from popoto.exceptions import (
    BackendError,
    BadURL,
    Busy,
    Denied,
    OutcomeUnknown,
    OutOfMemory,
    ReadOnly,
    ReplyError,
    TimedOut,
    Unavailable,
)
from popoto.storage import Applied, Call, Connection, Guard, Op, Step, Txn, ask, ask_all, together
from popoto.storage.commands.hashes import hget, hgetall, hincrby, hset
from popoto.storage.commands.keys import delete, exists
from popoto.storage.commands.strings import get, incrby, set_
from popoto_conformance.cases import Driver, Keys, exactly, not_applicable
from popoto_conformance.faults import Proxy
from popoto_conformance.stores import Store
from popoto_conformance.walks import lua

ADD = lua("add", "return redis.call('HINCRBY', KEYS[1], 'n', 1)")
PEEK = lua("peek", "return redis.call('HGET', KEYS[1], 'n')", writes=False)
needs_lua = pytest.mark.needs("lua")


def writes(k: Keys) -> dict[str, list[Step]]:
    """Batches that each add one to a field, in every form that a write can have."""
    add = hincrby(k(), "n", 1)
    return {
        "command": [add],
        "among reads": [hget(k(), "n"), add, hget(k(), "n")],
        "transaction": [Txn([add, hget(k(), "n")])],
        "guarded": [Txn([add], [Guard("absent", k("none"))])],
        "script": [Call(ADD, [k()])],
        "among scripts": [Call(PEEK, [k()]), Call(ADD, [k()])],
    }


FORMS = [
    pytest.param("command"),
    pytest.param("among reads"),
    pytest.param("transaction"),
    pytest.param("guarded", marks=needs_lua),
    pytest.param("script", marks=needs_lua),
    pytest.param("among scripts", marks=needs_lua),
]


def exchanged(proxy: Proxy, driver: Driver, connection: Connection, plan: Op[Any]) -> tuple[Any, int, int]:
    """A plan's result, and how many turns and commands it took at the socket."""
    turns, commands = proxy.turns, proxy.commands
    result = driver.run(connection, plan)
    return result, proxy.turns - turns, proxy.commands - commands


def test_a_batch_of_fifty_is_one_exchange(proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    proxy.delay = 0.1
    begun = time.monotonic()
    batch = [step for n in range(25) for step in (set_(k(b"%d" % n), n), get(k(b"%d" % n)))]
    _, turns, commands = exchanged(proxy, driver, proxied, ask_all(batch))
    exactly([turns, commands], [1, 50])
    assert time.monotonic() - begun < 2.5


def test_fifty_plans_together_are_one_exchange(proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    proxy.delay = 0.03
    plans = [ask(hincrby(k(), "n", 1)) for _ in range(50)]
    result, turns, commands = exchanged(proxy, driver, proxied, together(plans))
    exactly([result, turns, commands], [list(range(1, 51)), 1, 50])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_write_is_one_exchange(
    form: str, proxy: Proxy, proxied: Connection, driver: Driver, k: Keys
) -> None:
    batch = writes(k)[form]
    driver.run(proxied, ask_all(batch))
    proxy.delay = 0.005
    exactly(exchanged(proxy, driver, proxied, ask_all(batch))[1], 1)


def test_a_command_is_sent_as_it_is(proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    proxy.received.clear()
    driver.run(proxied, ask_all([hset(k(), {"f": b"\xff\x00"}), hget(k(), "f")]))
    words = [b"HSET", k(), b"f", b"\xff\x00"], [b"HGET", k(), b"f"]
    sent = b"".join(b"*%d\r\n" % len(one) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in one) for one in words)
    exactly(bytes(proxy.received), sent)


@pytest.mark.parametrize("form", FORMS)
def test_a_lost_reply_of_a_write_is_unknown_and_it_ran_once(
    form: str, proxy: Proxy, proxied: Connection, driver: Driver, connection: Connection, k: Keys
) -> None:
    driver.run(proxied, ask_all(writes(k)[form]))
    proxy.eat_reply(1)
    with pytest.raises(OutcomeUnknown) as caught:
        driver.run(proxied, ask_all(writes(k)[form]))
    exactly(caught.value.nothing_sent, False)
    exactly(connection.run(ask(hget(k(), "n"))), b"2")
    driver.run(proxied, ask_all(writes(k)[form]))
    exactly(connection.run(ask(hget(k(), "n"))), b"3")


@pytest.mark.parametrize("form", FORMS)
def test_a_lost_request_of_a_write_is_unknown_and_not_sent_again(
    form: str, proxy: Proxy, proxied: Connection, driver: Driver, connection: Connection, k: Keys
) -> None:
    driver.run(proxied, ask_all(writes(k)[form]))
    proxy.eat_request(1)
    with pytest.raises(OutcomeUnknown):
        driver.run(proxied, ask_all(writes(k)[form]))
    exactly(connection.run(ask(hget(k(), "n"))), b"1")
    driver.run(proxied, ask_all(writes(k)[form]))
    exactly(connection.run(ask(hget(k(), "n"))), b"2")


@pytest.mark.parametrize("fault", ["eat_reply", "eat_request"])
def test_what_only_reads_is_asked_again(fault: str, proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    driver.run(proxied, ask(hset(k(), {"a": "1", "b": "2"})))
    proxy.received.clear()
    getattr(proxy, fault)(1)
    replies = driver.run(proxied, ask_all([hget(k(), "a"), hgetall(k()), exists(k())]))
    exactly(replies, [b"1", {b"a": b"1", b"b": b"2"}, True])
    exactly(proxy.received.count(b"HGETALL"), 2)


@needs_lua
def test_a_script_that_only_reads_is_asked_again(proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    driver.run(proxied, ask_all([hset(k(), {"n": "7"}), Call(PEEK, [k()])]))
    proxy.eat_reply(1)
    exactly(driver.run(proxied, ask(Call(PEEK, [k()]))), b"7")


def test_reading_is_not_tried_for_ever(proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    proxy.eat_request(1000)
    with pytest.raises(Unavailable):
        driver.run(proxied, ask(hget(k(), "a")))
    proxy.eat_request(0)
    exactly(driver.run(proxied, ask(hget(k(), "a"))), None)


def test_a_transaction_that_is_cut_leaves_old_state_or_new(
    proxy: Proxy, proxied: Connection, driver: Driver, connection: Connection, k: Keys
) -> None:
    _cut_everywhere(proxy, proxied, driver, connection, k, [], 9)


@needs_lua
def test_a_guarded_transaction_that_is_cut_leaves_old_state_or_new(
    proxy: Proxy, proxied: Connection, driver: Driver, connection: Connection, k: Keys
) -> None:
    _cut_everywhere(proxy, proxied, driver, connection, k, [Guard("absent", k("none"))], 83)


def _cut_everywhere(
    proxy: Proxy, proxied: Connection, driver: Driver, connection: Connection, k: Keys, guards: list[Guard], stride: int
) -> None:
    proxy.received.clear()
    exactly(driver.run(proxied, ask_all([_moved(k, b"000", guards)])), [Applied([True, True])])
    size = len(proxy.received)
    now = b"000"
    for turn, count in enumerate([*range(1, size, stride), size], 1):
        driver.run(proxied, ask(exists(k("warm"))))
        proxy.cut_after(count)
        with pytest.raises(OutcomeUnknown):
            driver.run(proxied, ask_all([_moved(k, b"%03d" % turn, guards)]))
        # A request that was passed on whole may run a little later than its connection ends.
        deadline = time.monotonic() + (10 if count == size else 0)
        while (pair := connection.run(ask_all([get(k("one")), get(k("other"))])))[0] == now:
            if time.monotonic() >= deadline:
                break
            time.sleep(0.002)
        exactly(pair[0], pair[1])
        assert pair[0] in (now, b"%03d" % turn), pair
        now = pair[0]
    exactly(now, b"%03d" % turn)


def _moved(k: Keys, value: bytes, guards: list[Guard]) -> Txn:
    return Txn([set_(k("one"), value), set_(k("other"), value)], guards)


def test_a_batch_that_is_cut_has_run_from_its_start(
    proxy: Proxy, proxied: Connection, driver: Driver, connection: Connection, k: Keys
) -> None:
    for count in (10, 100, 300, 900, 1500):
        driver.run(proxied, ask_all([delete(k(b"%d" % n)) for n in range(30)]))
        proxy.cut_after(count)
        with pytest.raises(OutcomeUnknown):
            driver.run(proxied, ask_all([set_(k(b"%d" % n), n) for n in range(30)]))
        ran = connection.run(ask_all([exists(k(b"%d" % n)) for n in range(30)]))
        exactly(ran, sorted(ran, reverse=True))


@pytest.mark.parametrize(
    ("line", "kind", "code"),
    [
        (b"-LOADING the dataset is in memory soon\r\n", Busy, "LOADING"),
        (b"-READONLY You can't write against a read only replica.\r\n", ReadOnly, "READONLY"),
        (b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", OutOfMemory, "OOM"),
        (b"-NOPERM this user has no permissions\r\n", Denied, "NOPERM"),
        # Clients tell this one by a class of theirs that stands for several codes.
        (b"-NOAUTH Authentication required.\r\n", Denied, ""),
        (b"-BUSY a script is running.\r\n", Busy, "BUSY"),
        (b"-MASTERDOWN Link with MASTER is down\r\n", Busy, "MASTERDOWN"),
        (b"-TRYAGAIN later\r\n", Busy, "TRYAGAIN"),
        (b"-ODD but true\r\n", ReplyError, "ODD"),
        (b"-ERR plain\r\n", ReplyError, "ERR"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_of_the_server_has_its_class_and_its_place(
    line: bytes, kind: type[ReplyError], code: str, proxy: Proxy, proxied: Connection, driver: Driver, k: Keys
) -> None:
    proxy.answer(1, line)
    one, error, two = driver.run(
        proxied, ask_all([incrby(k(), 1), incrby(k("no"), 1), incrby(k(), 1)], errors="return")
    )
    exactly([one, two], [1, 2])
    exactly(type(error), kind)
    exactly(error.code, code or error.code)
    exactly(driver.run(proxied, ask_all([get(k()), exists(k("no"))])), [b"2", False])


def test_where_nobody_listens_nothing_ran(
    store: Store, proxy: Proxy, driver: Driver, connect: Callable[..., Connection], k: Keys
) -> None:
    proxy.refuse()
    connection = connect(store.through(proxy.port))
    plans: list[Op[Any]] = [ask(hget(k(), "f")), ask(hset(k(), {"f": "1"}))]
    for plan in plans:
        with pytest.raises(Unavailable):
            driver.run(connection, plan)


def test_a_store_that_goes_away_is_told(proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    proxy.refuse()
    with pytest.raises(Unavailable):
        driver.run(proxied, ask(hget(k(), "f")))
    with pytest.raises((Unavailable, OutcomeUnknown)):
        driver.run(proxied, ask(hset(k(), {"f": "1"})))


@pytest.mark.needs("pubsub")
def test_a_subscription_that_is_cut_says_so(proxy: Proxy, proxied: Connection, driver: Driver, k: Keys) -> None:
    listener = driver.subscribe(proxied, [k()])
    proxy.refuse()
    with pytest.raises(Unavailable):
        listener.get(30)
    listener.close()


def test_who_does_not_wait_longer_meets_no_late_reply(
    store: Store, proxy: Proxy, driver: Driver, connect: Callable[..., Connection], k: Keys
) -> None:
    try:
        connection = connect(store.through(proxy.port) + ("&" if "?" in store.url else "?") + "timeout=0.3")
        driver.run(connection, ask(hincrby(k(), "n", 1)))
    except BadURL:
        raise not_applicable("its URLs know no timeout") from None
    proxy.delay = 0.5
    with pytest.raises(TimedOut):
        driver.run(connection, ask(hincrby(k(), "n", 1)))
    with pytest.raises(Unavailable):
        driver.run(connection, ask(hget(k(), "n")))
    proxy.delay = 0
    time.sleep(0.6)
    exactly(driver.run(connection, ask_all([get(k("none")), hget(k(), "n")])), [None, b"2"])


def test_errors_name_no_password(
    proxy: Proxy, store: Store, driver: Driver, connect: Callable[..., Connection]
) -> None:
    proxy.refuse()
    url = store.through(proxy.port).replace("://", "://somebody:s3cret@", 1)
    if "@" in store.url:
        raise not_applicable("the URL has a password of its own")
    connection = connect(url)
    with pytest.raises(BackendError) as caught:
        driver.run(connection, ask(get("x")))
    assert "s3cret" not in f"{caught.value!r} {caught.value} {connection!r} {connection.url!r}"
