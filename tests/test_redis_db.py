"""The connection functions of 1.x: models follow them at once, and the namespace is a boundary."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import popoto
from popoto import KeyField, Model, SortedField, redis_db
from popoto.redis_db import (
    PopotoException,
    async_check_connection,
    async_scan_keys,
    check_connection,
    get_async_redis_db,
    get_REDIS_DB,
    print_redis_info,
    scan_keys,
    set_async_redis_db_settings,
    set_REDIS_DB_settings,
    url_of,
)
from popoto.storage import Connection


class Town(Model):
    name = KeyField()
    size = SortedField(type=int, default=0)


@pytest.fixture(autouse=True)
def no_env(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENV", raising=False)


def place(store: Connection) -> dict[str, Any]:
    host, port = store.url.hosts[0]
    return {"host": host, "port": port}


def towns() -> list[str]:
    return sorted(town.name for town in Town.query.all())


# D0


def test_d00_models_follow_new_settings_at_once(server: Connection, plain: Any) -> None:
    Town.create(name="before")
    set_REDIS_DB_settings(db=3, **place(server))
    Town.create(name="after")
    assert (plain.exists("Town:before"), plain.exists("Town:after")) == (1, 0)
    assert get_REDIS_DB().keys("Town:*") == [b"Town:after"]
    assert asyncio.run(Town.query.async_count()) == 1
    assert [town.name for town in Town.query.all()] == ["after"]


def test_settings_by_position_and_for_asyncio_are_the_same(server: Connection) -> None:
    host, port = server.url.hosts[0]
    asyncio.run(set_async_redis_db_settings("", host, port, 4))
    assert str(popoto.connection().url) == f"redis://{host}:{port}/4"


def test_the_late_client_follows_too(server: Connection) -> None:
    late = popoto.POPOTO_REDIS_DB
    set_REDIS_DB_settings(db=5, **place(server))
    late.set("here", "1")
    assert (get_REDIS_DB().get("here"), "here" in late, late is redis_db.POPOTO_REDIS_DB) == (b"1", True, True)
    assert popoto.get_redis().connection_pool.connection_kwargs["db"] == 5


def test_a_namespace_stands_before_every_key(server: Connection, plain: Any) -> None:
    set_REDIS_DB_settings("alpha", **place(server))
    Town.create(name="a", size=1)
    assert {key.split(b":")[0] for key in plain.scan_iter()} == {b"alpha"}
    assert plain.exists("alpha:Town:a") == 1


def test_two_namespaces_on_one_server_never_see_each_other(server: Connection) -> None:
    for space in ("alpha", "beta", ""):
        set_REDIS_DB_settings(space, **place(server))
        Town.create(name=f"{space}1", size=1)
    for space in ("alpha", "beta", ""):
        set_REDIS_DB_settings(space, **place(server))
        assert (towns(), Town.query.count(), len(Town.query.filter(size__gte=0))) == ([f"{space}1"], 1, 1)
        assert Town.load(name="alpha1") is None or space == "alpha"
    set_REDIS_DB_settings("beta", **place(server))
    Town.delete_all()
    set_REDIS_DB_settings("alpha", **place(server))
    assert towns() == ["alpha1"]


def test_env_is_the_namespace_unless_one_is_given(server: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", "staging")
    assert popoto.connect("fake://").layout.namespace == ""
    set_REDIS_DB_settings(**place(server))
    assert popoto.connection().layout.namespace == "staging"
    set_REDIS_DB_settings("own", **place(server))
    assert popoto.connection().layout.namespace == "own"


# Settings as a URL


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ({}, "redis://localhost:6379/0"),
        ({"host": "h", "port": 1, "db": 2}, "redis://h:1/2"),
        ({"host": "::1", "password": "p@:/"}, "redis://:p%40%3A%2F@[::1]:6379/0"),
        ({"username": "u", "password": "p", "ssl": True, "ssl_ca_certs": "/ca"}, "rediss://u:p@localhost:6379/0?ssl_ca_certs=%2Fca"),
        ({"unix_socket_path": "/run/a b", "db": 1}, "redis+unix:///run/a%20b?db=1"),
        ({"socket_timeout": 2.5, "socket_connect_timeout": 1}, "redis://localhost:6379/0?timeout=2.5&connect_timeout=1"),
        ({"max_connections": 9, "decode_responses": False, "retry_on_timeout": False}, "redis://localhost:6379/0?max_connections=9"),
    ],
)  # fmt: skip
def test_settings_become_a_url(words: dict[str, Any], url: str) -> None:
    assert url_of(words) == url


@pytest.mark.parametrize(
    "words",
    [{"decode_responses": True}, {"connection_pool": object()}, {"encoding": "latin-1"}, {"hots": "h"}, {"retry": 3}],
)
def test_what_a_url_cannot_carry_is_refused_by_name(fake: Connection, words: dict[str, Any]) -> None:
    with pytest.raises(PopotoException, match=next(iter(words))):
        set_REDIS_DB_settings(**words)
    assert popoto.connection() is fake


def test_a_namespace_inside_another_is_refused(fake: Connection) -> None:
    with pytest.raises(PopotoException, match="a:b"):
        set_REDIS_DB_settings("a:b")
    assert popoto.connection() is fake


def test_a_setting_given_twice_is_refused(fake: Connection) -> None:
    with pytest.raises(PopotoException, match="host twice"):
        set_REDIS_DB_settings("", "h", host="h")


def test_the_exception_keeps_and_logs_its_message(caplog: pytest.LogCaptureFixture) -> None:
    error = PopotoException("no")
    assert (error.message, str(error), caplog.messages) == ("no", "no", ["no"])
    assert redis_db.ENCODING == "utf-8"


# The client object


def test_the_client_object_reads_what_models_write(store: Connection) -> None:
    Town.create(name="a")
    assert get_REDIS_DB().exists("Town:a") == 1

    async def read() -> int:
        client = await get_async_redis_db()
        return int(await client.exists("Town:a"))

    assert asyncio.run(read()) == 1
    assert asyncio.run(popoto.get_async_redis_db()).__class__.__module__.endswith("asyncio.client")


# Care


def test_the_connection_is_checked(store: Connection, caplog: pytest.LogCaptureFixture) -> None:
    assert (check_connection(), asyncio.run(async_check_connection())) == (True, True)
    set_REDIS_DB_settings(port=1, socket_connect_timeout=1)
    assert (check_connection(), asyncio.run(async_check_connection())) == (False, False)


def test_keys_are_scanned_each_once(store: Connection, plain: Any) -> None:
    plain.mset({f"Town:{number}": "x" for number in range(500)} | {"Village:1": "x"})
    expected = sorted(f"Town:{number}".encode() for number in range(500))
    assert sorted(scan_keys("Town:*", count=7)) == expected
    assert sorted(asyncio.run(async_scan_keys("Town:*"))) == expected
    assert scan_keys("*:1?") == [key for key in scan_keys("*") if len(key) == 7 and key[5:6] == b"1"]
    assert type(scan_keys("none")) is list


def test_keys_are_scanned_in_the_namespace_alone(server: Connection, plain: Any) -> None:
    plain.mset({"Town:0": "x", "a*:Town:1": "x", "ab:Town:2": "x", "a*:Village:1": "x"})
    set_REDIS_DB_settings("a*", **place(server))
    assert scan_keys("Town:*") == [b"a*:Town:1"]


def test_the_servers_facts_are_logged(store: Connection, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="POPOTO-REDIS_DB"):
        assert print_redis_info() is None  # type: ignore[func-returns-value]
    assert any(store.info.version in message for message in caplog.messages)
