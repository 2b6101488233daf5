"""Connections are bound late: models follow a changed one at once, in every thread and event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from servers import KINDS, Servers

import popoto
from popoto import BackendError, Field, KeyField, Model, Unavailable, connect, connection, using
from popoto.exceptions import BadURL
from popoto.storage import Connection, ask, connections, reset, set_connection
from popoto.storage.commands.strings import get


class Here(Model):
    k = KeyField()
    text = Field()


class There(Model):
    k = KeyField()

    class Meta:
        connection = "elsewhere"


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """No connection has a name, and the environment says nothing."""
    before = dict(connections._named)
    connections._named.clear()
    for variable in connections.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    yield monkeypatch
    for name in list(connections._named):
        reset(name)
    connections._named.update(before)


def test_importing_opens_nothing_and_loads_no_client():
    code = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise AssertionError('a socket at import')\n"
        "socket.socket.connect = refuse\n"
        "import popoto\n"
        "class M(popoto.Model):\n    k = popoto.KeyField()\n"
        "M(k='a'); M.query.filter(k='a')\n"
        "found = {'numpy', 'pytest', 'rich', 'fakeredis', 'redis', 'valkey', 'asyncio'} & set(sys.modules)\n"
        "print(sorted(found - {'asyncio'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_model_follows_a_changed_connection(unnamed: Any):
    first = connect("fake://")
    Here.create(k="a")
    second = connect("fake://")
    assert Here.query.count() == 0
    Here.create(k="b")
    set_connection(first)
    assert [row.k for row in Here.query.all()] == ["a"]
    set_connection(second)
    assert [row.k for row in Here.query.all()] == ["b"]


def test_threads_follow_a_changed_connection_at_once(unnamed: Any):
    connect("fake://")
    Here.create(k="a")
    asked, changed, seen = threading.Event(), threading.Event(), []

    def work() -> None:
        seen.append(Here.query.count())
        asked.set()
        changed.wait(10)
        seen.append(Here.query.count())

    thread = threading.Thread(target=work)
    thread.start()
    asked.wait(10)
    connect("fake://")
    changed.set()
    thread.join(10)
    assert seen == [1, 0]


def test_event_loops_follow_a_changed_connection_at_once(unnamed: Any):
    connect("fake://")

    async def work() -> list[int]:
        await Here.async_create(k="a")
        before = await Here.query.async_count()
        old = connection()
        connect("fake://")
        after = await Here.query.async_count()
        await old.aclose()
        return [before, after]

    assert asyncio.run(work()) == [1, 0]


def test_using_holds_inside_its_block_and_its_tasks(unnamed: Any):
    outer = connect("fake://")
    Here.create(k="a")
    inner = Connection("fake://")

    async def count() -> int:
        return await Here.query.async_count()

    async def both() -> list[int]:
        with using(inner):
            task = asyncio.create_task(count())
            inside = await count()
        return [inside, await task, await count()]

    assert asyncio.run(both()) == [0, 0, 1]
    with using(inner) as used:
        assert used is inner and connection() is inner
        with using(outer):
            assert Here.query.count() == 1
        assert Here.query.count() == 0
    assert connection() is outer


def test_using_takes_a_name_and_a_url(unnamed: Any):
    connect("fake://")
    named = connect("fake://", name="elsewhere")
    with using("elsewhere") as used:
        assert used is named
    with using("fake://"):
        Here.create(k="a")
    assert Here.query.count() == 0
    with (
        pytest.raises(BackendError, match=r"no connection is named 'nope'.*connect\(url, name='nope'\)"),
        using("nope"),
    ):
        pass


def test_a_model_may_name_its_connection(unnamed: Any):
    connect("fake://")
    with pytest.raises(BackendError, match="no connection is named 'elsewhere'"):
        There.create(k="a")
    elsewhere = connect("fake://", name="elsewhere")
    There.create(k="a")
    assert elsewhere.native.exists("There:a") == 1
    assert connection().native.exists("There:a") == 0
    with using(Connection("fake://")):
        assert There.query.count() == 1


def test_the_environment_is_asked_in_order(unnamed: pytest.MonkeyPatch):
    expected = []
    for variable in ("VALKEY_URL", "REDIS_URL", "POPOTO_URL"):
        unnamed.setenv(variable, f"fake://{variable.lower()}")
        reset()
        expected.append((str(connection().url), connection().source))
    assert expected == [
        ("fake://valkey_url", "VALKEY_URL"),
        ("fake://redis_url", "REDIS_URL"),
        ("fake://popoto_url", "POPOTO_URL"),
    ]
    for variable in connections.VARIABLES:
        unnamed.delenv(variable)
    reset()
    assert (str(connection().url), connection().source) == ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379")


def test_a_bad_url_in_the_environment_names_the_variable(unnamed: pytest.MonkeyPatch):
    unnamed.setenv("POPOTO_URL", "nonsense")
    with pytest.raises(BadURL, match="POPOTO_URL"):
        Here.query.count()


@pytest.mark.parametrize("driver", ["sync", "async"])
def test_an_unreachable_default_names_the_remedies(unnamed: pytest.MonkeyPatch, driver: str):
    unnamed.setattr(connections, "FALLBACK", "redis://127.0.0.1:1")
    with pytest.raises(Unavailable) as caught:
        if driver == "sync":
            Here.create(k="a")
        else:
            asyncio.run(Here.async_create(k="a"))
    text = str(caught.value)
    assert "no server answers at redis://127.0.0.1:1" in text
    assert "POPOTO_URL" in text and "embedded:" in text and "Start one" in text
    shown = "".join(traceback.format_exception(caught.value))
    assert "site-packages" not in shown and "redis.exceptions" not in shown


SECRET = "s3cr3t:p@ss"
URLS = [
    "redis://user:s3cr3t%3Ap%40ss@127.0.0.1:1/0",
    "redis://:s3cr3t@127.0.0.1:1",
    "redis://u:s3cr3t/with/slash@127.0.0.1:1",
    "redis://u:s3cr3t#hash@127.0.0.1:1",
    "redis://127.0.0.1:1?password=s3cr3t",
    "valkey://:s3cr3t@127.0.0.1:1",
    "nope://u:s3cr3t@h",
    "redis://u:s3cr3t@h:99999",
]


@pytest.mark.parametrize("url", URLS, ids=range(len(URLS)))
def test_a_password_is_shown_nowhere(unnamed: Any, url: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    try:
        made = connect(url)
        shown += [repr(made), str(made), repr(made.url), str(made.url), repr(made.__dict__)]
        Here.create(k="a")
    except (BackendError, ValueError) as error:
        shown += ["".join(traceback.format_exception(error)), repr(error)]
    assert shown
    assert [text for text in [*shown, caplog.text] if "s3cr3t" in text.replace(url, "", 0)] == []


def test_a_wrong_password_is_refused_without_being_told(
    unnamed: Any, servers: Servers, tmp_path: Any, caplog: pytest.LogCaptureFixture
):
    port = servers.start(_some_program(), tmp_path, "--requirepass", "right")
    connect(f"redis://:wr0ng@127.0.0.1:{port}")
    with pytest.raises(BackendError) as caught:
        Here.create(k="a")
    assert "wr0ng" not in "".join(traceback.format_exception(caught.value)) + caplog.text
    connect(f"redis://:right@127.0.0.1:{port}")
    Here.create(k="a")
    assert Here.query.count() == 1


def _some_program() -> Any:
    return KINDS["redis-6.2"].program()


def test_a_closed_connection_opens_again(store: Connection):
    Here.create(k="a")
    if store.url.scheme == "fake":
        return
    store.close()
    assert Here.query.count() == 1


def test_a_namespace_keeps_applications_apart(server: Connection, plain: Any):
    port = server.url.hosts[0][1]
    one = Connection(f"redis://127.0.0.1:{port}?namespace=one")
    with using(one):
        Here.create(k="a")
        assert Here.query.get(k="a").pk == "Here:a"  # type: ignore[union-attr]
        assert Here.query.count() == 1 and len(Here.query.all()) == 1
        assert Here.query.get(redis_key="one:Here:a") == Here.query.get(redis_key="Here:a")
    assert Here.query.count() == 0
    assert {key.partition(b":")[0] for key in plain.keys("*")} == {b"one"}
    one.close()


def test_hash_tags_keep_a_model_in_one_slot(server: Connection, plain: Any):
    port = server.url.hosts[0][1]
    tagged = Connection(f"redis://127.0.0.1:{port}?hash_tags=1")
    with using(tagged):
        made = Here.create(k="a", text="t")
        assert [row.pk for row in Here.query.filter(k="a")] == ["Here:a"]
        assert sorted(plain.keys("*")) == [b"{Here}$Class:Here", b"{Here}$KeyF:Here:k:a", b"{Here}Here:a"]
        made.k = "b"
        made.save(migrate_key=True)
        assert made.delete() is True
    assert plain.keys("*") == []
    tagged.close()


def test_plugins_are_listed():
    assert {"fake", "redis", "valkey", "embedded"} <= {name for one in popoto.plugins() for name in one.schemes}


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b":abc\r\n", b"$-7\r\n"])
def test_what_speaks_another_protocol_is_no_store(scheme: str, answer: bytes):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answering() -> None:
            # How often a client asks, and whether it waits for the answer, is its own affair; the end is a shutdown.
            with contextlib.suppress(OSError):
                while True:
                    with other.accept()[0] as caller, contextlib.suppress(ConnectionError):
                        caller.recv(4096)
                        caller.sendall(answer)

        thread = threading.Thread(target=answering)
        thread.start()
        made = Connection(f"{scheme}://127.0.0.1:{other.getsockname()[1]}/0?timeout=5")
        with pytest.raises(Unavailable, match="the store cannot be reached"):
            made.run(ask(get("key")))
        made.close()
        other.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def test_a_plugin_that_is_disabled_after_its_use_opens_no_more(monkeypatch: pytest.MonkeyPatch):
    assert popoto.connect("fake://", name="before").native.ping()
    monkeypatch.setenv("POPOTO_DISABLE_PLUGINS", "valkey, fake")
    with pytest.raises(popoto.BadURL, match="no backend answers to 'fake'"):
        popoto.connect("fake://", name="after").native  # noqa: B018
    assert {"fake", "valkey"}.isdisjoint(name for one in popoto.plugins() for name in one.schemes)
    monkeypatch.delenv("POPOTO_DISABLE_PLUGINS")
    assert popoto.connect("fake://", name="after").native.ping()
