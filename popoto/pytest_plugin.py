"""popoto's pytest plug-in: it imports no models, and does nothing, until a test uses them.

Disable it with `-p no:popoto`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from popoto.isolation import FrozenClock, Isolation
    from popoto.storage import Connection, RoundTrips

_ISOLATION: Final[pytest.StashKey[Isolation]] = pytest.StashKey()
_OPTIONS: Final = {
    "popoto_test_db": ("database of a Redis or Valkey server for tests of popoto's models; 0 is refused", "15"),
    "popoto_test_url": ("store for tests of popoto's models, unless a test database is set: fake:// by default", ""),
}


class Unwritten(str):
    """The default of an option: nobody has written it, so it is no wish for a server."""

    __slots__ = ()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Announce the ini options."""
    for name, (text, default) in _OPTIONS.items():
        parser.addini(name, text, default=Unwritten(default))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give the test an empty store, where models have been imported."""
    if "popoto.models" in sys.modules:
        _isolation(item.config).begin(item)


# After the fixtures of the session, and before a worker of pytest-xdist says that it has finished and may be killed.
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Empty the store and put the connections back."""
    config = session.config
    if _ISOLATION in config.stash:
        config.stash[_ISOLATION].finish()
        del config.stash[_ISOLATION]


def _isolation(config: pytest.Config) -> Isolation:
    if _ISOLATION not in config.stash:
        plugin = import_module("popoto.isolation")
        config.stash[_ISOLATION] = plugin.Isolation(plugin.Settings.read(_written(config)))
    return config.stash[_ISOLATION]


def _written(config: pytest.Config) -> dict[str, str]:
    """The options that the project or the command line sets."""
    given = {name: config.getini(name) for name in _OPTIONS}
    return {name: str(value) for name, value in given.items() if not isinstance(value, Unwritten)}


@pytest.fixture
def popoto_store(request: pytest.FixtureRequest) -> Connection:
    """The connection to the test's own, empty store, which every model uses."""
    return _isolation(request.config).begin(request.node)


@pytest.fixture
def popoto_clock() -> Iterator[FrozenClock]:
    """popoto's clock, standing still at the present: `popoto_clock.tick(60)` moves it. A server keeps its own."""
    clock = import_module("popoto.isolation").FrozenClock()
    with import_module("popoto.clock").frozen(clock):
        yield clock


@pytest.fixture
def popoto_round_trips(popoto_store: Connection) -> Iterator[RoundTrips]:
    """A running count of the test's round trips; compares with an int."""
    # What is asked of a server once in its life is not the test's.
    assert popoto_store.info
    with import_module("popoto.storage").round_trips() as trips:
        yield trips
