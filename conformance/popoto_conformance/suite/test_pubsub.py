"""Channels: what is published after subscribing arrives, as bytes, in order, with its channel and pattern."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from popoto.exceptions import CapabilityError, Unavailable
from popoto.storage import Connection, Message, ask, ask_all
from popoto.storage.commands.channels import publish
from popoto_conformance.cases import Driver, Keys, Listener, case, exactly

needs_pubsub = pytest.mark.needs("pubsub")
Listen = Callable[..., Listener]


@pytest.fixture
def listen(driver: Driver, connection: Connection) -> Iterator[Listen]:
    """Subscribes, and closes what was subscribed."""
    made: list[Listener] = []

    def listen(*channels: bytes, patterns: tuple[bytes, ...] = ()) -> Listener:
        made.append(driver.subscribe(connection, channels, patterns))
        return made[-1]

    yield listen
    for one in made:
        one.close()


@pytest.mark.case
@needs_pubsub
def test_subscribing_works_or_is_refused_where_it_is_not_claimed(
    driver: Driver, connection: Connection, k: Keys, listen: Listen
) -> None:
    if "pubsub" in connection.info.capabilities:
        exactly(listen(k()).get(0), None)
        return
    with pytest.raises(CapabilityError):
        listen(k())


@case("pubsub")
async def test_publishing_counts_the_subscribers(k: Keys) -> None:
    exactly(await ask(publish(k(), "nobody")), 0)


@needs_pubsub
def test_what_is_published_right_after_subscribing_arrives(
    driver: Driver, connection: Connection, k: Keys, listen: Listen
) -> None:
    for turn in range(20):
        channel = k(f"channel{turn}")
        listener = listen(channel)
        exactly(driver.run(connection, ask(publish(channel, b"%d" % turn))), 1)
        exactly(listener.get(), Message(channel, b"%d" % turn, None))
        listener.close()


@needs_pubsub
def test_messages_keep_their_order_and_their_bytes(
    driver: Driver, connection: Connection, k: Keys, listen: Listen
) -> None:
    listener = listen(k())
    payloads = [
        b"",
        b"\xff\xfe",
        b"\x00\r\n",
        "é".encode(),
        b"1",
        bytes(range(256)) * 40,
        *(b"%d" % n for n in range(50)),
    ]
    exactly(driver.run(connection, ask_all([publish(k(), one) for one in payloads])), [1] * len(payloads))
    for payload in payloads:
        message = listener.get()
        exactly(message, Message(k(), payload, None))
        exactly((type(message.channel), type(message.data)), (bytes, bytes)) if message else None


@needs_pubsub
def test_a_pattern_matches_and_is_named(driver: Driver, connection: Connection, k: Keys, listen: Listen) -> None:
    pattern = k("news.") + b"*"
    listener = listen(patterns=(pattern,))
    driver.run(connection, ask_all([publish(k("other"), "no"), publish(k("news.a"), "yes")]))
    exactly(listener.get(), Message(k("news.a"), b"yes", pattern))
    exactly(listener.get(0.02), None)


@needs_pubsub
def test_channel_and_pattern_each_bring_the_message(
    driver: Driver, connection: Connection, k: Keys, listen: Listen
) -> None:
    pattern = k("news.") + b"?"
    listener = listen(k("news.a"), k("more"), patterns=(pattern,))
    exactly(driver.run(connection, ask(publish(k("news.a"), "x"))), 2)
    got = {message.pattern for message in (listener.get(), listener.get()) if message}
    exactly(got, {None, pattern})
    driver.run(connection, ask(publish(k("more"), "y")))
    exactly(listener.get(), Message(k("more"), b"y", None))


@needs_pubsub
def test_no_message_is_none_after_the_timeout(listen: Listen, k: Keys) -> None:
    listener = listen(k())
    begun = time.monotonic()
    exactly(listener.get(0.05), None)
    assert 0.03 < time.monotonic() - begun < 2


@needs_pubsub
def test_a_message_that_comes_while_waiting_is_delivered(
    connect: Callable[..., Connection], connection: Connection, k: Keys, listen: Listen
) -> None:
    listener = listen(k())
    other = connect()
    timer = threading.Timer(0.05, lambda: other.run(ask(publish(k(), "late"))))
    timer.start()
    exactly(listener.get(30), Message(k(), b"late", None))
    timer.join()


@needs_pubsub
def test_two_subscriptions_hear_the_same(driver: Driver, connection: Connection, k: Keys, listen: Listen) -> None:
    one, other = listen(k()), listen(k())
    exactly(driver.run(connection, ask(publish(k(), "both"))), 2)
    exactly([one.get(), other.get()], [Message(k(), b"both", None)] * 2)


@needs_pubsub
def test_a_closed_subscription_hears_nothing_and_closes_twice(
    driver: Driver, connection: Connection, k: Keys, listen: Listen
) -> None:
    listener = listen(k())
    listener.close()
    listener.close()
    with pytest.raises(Unavailable):
        listener.get(0.01)
    deadline = time.monotonic() + 30
    # The store may learn of it a little later.
    while driver.run(connection, ask(publish(k(), "x"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    exactly(driver.run(connection, ask(publish(k(), "x"))), 0)
