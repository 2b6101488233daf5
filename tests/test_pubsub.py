"""Publishers and subscribers: what is published is heard, once, with its types; errors and lost connections pass."""

from __future__ import annotations

import asyncio
import logging
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgpack
import pytest
import redis
from proxy import Proxy

import popoto
from popoto import Publisher, PublisherException, Subscriber, SubscriberException
from popoto.pubsub import Message
from popoto.pubsub import publisher as publisher_module
from popoto.pubsub import subscriber as subscriber_module
from popoto.pubsub.backoff import Backoff
from popoto.storage import Connection

RICH = {
    "day": date(2024, 1, 2),
    "at": datetime(2024, 1, 2, tzinfo=UTC),
    "cost": Decimal("1.50"),
    "set": {1},
    "t": (1, [2]),
}


class News(Publisher):
    pass


class Listener(Subscriber):
    sub_channel_names = ("News", "other")

    def __init__(self, **words: Any) -> None:
        self.seen: list[Any] = []
        super().__init__(**words)

    def pre_handle(self, channel: str, data: Any, *args: Any, **kwargs: Any) -> None:
        self.seen.append("pre")

    def handle(self, channel: str, data: Any, *args: Any, **kwargs: Any) -> None:
        self.seen.append((channel, data))


def test_what_is_published_is_heard_with_its_types(store: Connection) -> None:
    with Listener() as listener:
        assert News().publish(RICH) == 1
        assert listener(30) == Message("News", RICH)
        assert listener.seen == ["pre", ("News", RICH)]
        assert listener() is None


def test_the_bytes_are_plain_msgpack(store: Connection, plain: Any) -> None:
    with plain.pubsub() as heard:
        heard.subscribe("News")
        assert heard.get_message(timeout=30)["type"] == "subscribe"
        News().publish({"a": [1, "x", None]})
        assert msgpack.unpackb(heard.get_message(timeout=30)["data"]) == {"a": [1, "x", None]}


def test_a_plain_client_is_heard(store: Connection, plain: Any) -> None:
    with Listener() as listener:
        plain.publish("other", msgpack.packb([1, {"a": b"b"}]))
        assert listener(30) == Message("other", [1, {"a": b"b"}])


# D15, D48


def test_there_is_one_class_of_each_exception() -> None:
    assert publisher_module.PublisherException is PublisherException is popoto.exceptions.PublisherException
    assert subscriber_module.SubscriberException is SubscriberException is popoto.exceptions.SubscriberException


def test_the_channel_is_an_argument_an_attribute_or_the_class() -> None:
    class Fixed(Publisher):
        _channel_name = "fixed"

    publisher = Publisher(channel_name="x")
    assert (News().channel_name, Fixed().channel_name, publisher.channel_name) == ("News", "fixed", "x")
    publisher.channel_name = "y"
    assert publisher.channel_name == "y"


def test_d48_an_empty_message_is_sent_as_it_is(store: Connection) -> None:
    news = News()
    with Listener() as listener:
        assert news.publish() is None
        news.publish({"a": 1})
        news.publish({})
        news.publish(0)
        news.publish()
        assert [listener(30).data for _ in range(4)] == [{"a": 1}, {}, 0, 0]  # type: ignore[union-attr]


def test_d48_a_pipeline_is_honoured_with_its_channel(store: Connection, plain: Any) -> None:
    news = News()
    with Listener() as listener:
        for pipeline in (store.pipeline(), plain.pipeline()):
            assert news.publish({"n": 1}, channel_name="other", pipeline=pipeline) is pipeline
            assert listener() is None
            assert pipeline.execute() == [1]
            assert listener(30) == Message("other", {"n": 1})


def test_d48_a_key_error_of_a_handler_is_not_swallowed(store: Connection) -> None:
    class Failing(Listener):
        def handle(self, channel: str, data: Any, *args: Any, **kwargs: Any) -> None:
            raise KeyError(data)

    with Failing() as listener:
        News().publish("x")
        with pytest.raises(SubscriberException, match="KeyError: 'x'") as caught:
            listener(30)
        assert isinstance(caught.value.__cause__, KeyError)


def test_publishing_nowhere_or_what_has_no_bytes_is_refused(fake: Connection) -> None:
    for publisher, data in ((News(channel_name=""), {}), (News(), {"a": object()})):
        with pytest.raises(PublisherException):
            publisher.publish(data)


def test_a_bad_payload_is_one_error_and_the_next_is_heard(store: Connection, plain: Any) -> None:
    with Listener() as listener:
        for raw in (b"\xc1", b"", b"\x01\x02", msgpack.packb("good")):
            plain.publish("News", raw)
        for _ in range(3):
            with pytest.raises(SubscriberException, match="News"):
                next(listener)
        assert next(listener) == Message("News", "good")


# Loops


def test_iterating_gives_messages_and_calls_no_handler(store: Connection) -> None:
    with Listener() as listener:
        for number in range(3):
            News().publish(number)
        heard = []
        for message in listener:
            heard.append(message.data)
            if message.data == 2:
                listener.stop()
        assert (heard, listener.seen) == ([0, 1, 2], [])


def test_run_hands_over_until_it_is_stopped_and_survives_errors(
    store: Connection, plain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Listener() as listener:
        thread = threading.Thread(target=listener.run)
        thread.start()
        plain.publish("News", b"\xc1")
        News().publish("last")
        while ("News", "last") not in listener.seen:
            thread.join(0.01)
        listener.stop()
        thread.join(5)
        assert (thread.is_alive(), len(caplog.messages)) == (False, 1)


def test_asyncio_hears_and_publishes(store: Connection) -> None:
    async def talk() -> list[Any]:
        news = News()
        async with Listener() as listener:
            assert await news.async_publish({"n": 1}) == 1
            assert await listener.async_poll(2) == Message("News", {"n": 1})
            assert await listener.async_poll() is None
            pipeline = store.pipeline()
            assert await news.async_publish(2, "other", pipeline=pipeline) is pipeline
            assert await pipeline.async_execute() == [1]
            async for message in listener:
                assert message == Message("other", 2)
                break
            await news.async_publish(3)
            listener.stop()
            await listener.async_run()
            return listener.seen

    assert asyncio.run(talk()) == ["pre", ("News", {"n": 1})]


def test_a_handler_may_be_async(store: Connection) -> None:
    heard: list[Any] = []

    class Waiting(Subscriber):
        sub_channel_names = ("News",)

        async def handle(self, channel: str, data: Any, *args: Any, **kwargs: Any) -> None:
            await asyncio.sleep(0)
            heard.append(data)

    async def talk() -> None:
        async with Waiting() as listener:
            await News().async_publish("a")
            await listener.async_poll(2)

    asyncio.run(talk())
    with Waiting() as listener:
        News().publish("b")
        with pytest.raises(SubscriberException, match="async_poll"):
            listener(30)
    assert heard == ["a"]


def test_what_was_heard_before_the_loop_began_is_kept(store: Connection) -> None:
    listener = Listener()
    News().publish("early")

    async def talk() -> Any:
        try:
            return await listener.async_poll(2)
        finally:
            await listener.async_close()

    assert asyncio.run(talk()) == Message("News", "early")


# Namespaces


def test_channels_of_two_namespaces_are_apart(server: Connection, plain: Any) -> None:
    urls = [f"{server.url.raw}?namespace={space}" for space in ("alpha", "beta")]
    with popoto.using(urls[0]), Listener() as listener:
        with popoto.using(urls[1]):
            assert News().publish("beta") == 0
        plain.publish("News", msgpack.packb("none"))
        assert News().publish("alpha") == 1
        assert listener(30) == Message("News", "alpha")


# Lost connections


def test_a_lost_connection_is_made_anew(proxied: Connection, proxy: Proxy, caplog: pytest.LogCaptureFixture) -> None:
    host, port = proxy.upstream
    direct = redis.Redis(host, port)
    with Listener() as listener:
        direct.publish("News", msgpack.packb(1))
        assert listener(30) == Message("News", 1)
        direct.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        assert listener(1) is None
        assert listener(1) is None
        direct.publish("News", msgpack.packb(2))
        assert listener(30) == Message("News", 2)
    direct.close()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_tries_to_connect_wait_longer_and_longer(fake: Connection, caplog: pytest.LogCaptureFixture) -> None:
    slept: list[float] = []
    clock = [100.0]

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        clock[0] += seconds

    class Patient(Listener):
        _backoff_seconds = (0.1, 0.3)
        _monotonic = staticmethod(lambda: clock[0])
        _sleep = staticmethod(sleep)

    with popoto.using("redis://127.0.0.1:1?connect_timeout=1"):
        listener = Patient(sub_channel_names=[])
        listener.sub_channel_names = ["News"]
        for _ in range(5):
            assert listener(1) is None
    assert slept == [0.1, 0.2, 0.3, 0.3]
    assert listener(0) is None


def test_the_first_subscription_fails_loudly() -> None:
    with popoto.using("redis://127.0.0.1:1?connect_timeout=1"), pytest.raises(popoto.Unavailable):
        Listener()


def test_backoff_doubles_to_its_most_and_begins_anew() -> None:
    backoff = Backoff(1, 3)
    assert [backoff.failed(0), backoff.failed(10), backoff.failed(20), backoff.left(21)] == [1, 2, 3, 2]
    backoff.worked()
    assert (backoff.left(21), backoff.failed(30)) == (0, 1)


def test_no_channel_or_a_text_for_channels_is_refused(fake: Connection) -> None:
    with pytest.raises(SubscriberException, match="sub_channel_names"):
        Subscriber().subscribe()
    with pytest.raises(SubscriberException, match=r"\['News'\]"):
        Subscriber(sub_channel_names="News")
