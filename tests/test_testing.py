"""Test databases by hand: the same server and login, never database 0, and nothing else is emptied."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from servers import KINDS, Servers

import popoto
from popoto import KeyField, Model, testing
from popoto.storage import Connection
from popoto.storage.urls import parse
from popoto.testing import flush_test_db, place, use_test_db


class Pet(Model):
    name = KeyField()


@pytest.fixture(autouse=True)
def unswitched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(testing, "_switched", None)
    monkeypatch.setattr(testing, "_origin", None)
    yield


def names() -> list[str]:
    return sorted(pet.name for pet in Pet.query.all())


# D0


def test_d00_only_the_test_database_is_emptied(store: Connection, plain: Any) -> None:
    Pet.create(name="production")
    use_test_db(db=9)
    Pet.create(name="test")
    assert names() == ["test"]
    assert plain.exists("Pet:production") == 1
    flush_test_db()
    assert names() == []
    assert set(plain.smembers("$Class:Pet")) == {b"Pet:production"}


def test_without_a_switch_nothing_is_emptied(store: Connection, plain: Any) -> None:
    Pet.create(name="production")
    with pytest.raises(RuntimeError, match="use_test_db"):
        flush_test_db()
    use_test_db()
    popoto.storage.set_connection(store)
    with pytest.raises(RuntimeError, match="use_test_db"):
        flush_test_db()
    assert plain.exists("Pet:production") == 1


def test_a_second_switch_starts_where_the_first_did(fake: Connection) -> None:
    use_test_db(3)
    use_test_db(4)
    assert popoto.connection().layout.namespace == "popoto-test-4"


@pytest.mark.parametrize("db", [0, -1, "0", "x", ""])
def test_database_0_and_what_is_no_number_are_refused(fake: Connection, db: Any) -> None:
    with pytest.raises(ValueError, match=f"db={db!r}"):
        use_test_db(db)
    assert popoto.connection() is fake


@pytest.mark.parametrize(
    ("url", "expected", "whole"),
    [
        ("redis://u:p%40@h:6380/2?timeout=3", "redis://u:p%40@h:6380/15?timeout=3", True),
        ("valkey://h", "valkey://h/15", True),
        ("rediss://h/?db=3", "rediss://h/15", True),
        ("redis+unix:///run/s?db=1", "redis+unix:///run/s?db=15", True),
        ("redis+sentinel://a,b/main/2", "redis+sentinel://a,b/main/15", True),
        ("redis://h?namespace=app", "redis://h/15?namespace=app", False),
        ("redis+cluster://h", "redis+cluster://h?namespace=popoto-test-15", False),
        ("embedded:./data", "embedded:./data?namespace=popoto-test-15", False),
        ("fake://x?namespace=app", "fake://x?namespace=app-popoto-test-15", False),
    ],
)
def test_host_and_login_are_kept(url: str, expected: str, whole: bool) -> None:
    found = place(parse(url), 15)
    assert (found.url, found.whole) == (expected, whole)


@pytest.mark.server
def test_a_password_is_kept(servers: Servers, tmp_path: Any) -> None:
    port = servers.start(KINDS["redis-6.2"].program(), tmp_path / "guarded", "--requirepass", "p@ss/word")
    with Connection_at(f"redis://:p%40ss%2Fword@127.0.0.1:{port}/0"):
        use_test_db(2)
        Pet.create(name="a")
        assert popoto.connection().native.keys("Pet:*") == [b"Pet:a"]
        popoto.storage.reset()


class Connection_at:
    """A default connection for a block."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> None:
        popoto.connect(self.url)

    def __exit__(self, *error: object) -> None:
        popoto.storage.reset()


def test_importing_the_helpers_connects_to_nothing() -> None:
    program = "import popoto.testing, popoto.redis_db, sys; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
