"""The stores under the tests: every backend through one fixture, each test on an empty one; and stores of contents."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import servers as stores
from embedded import serving
from programs import Program
from proxy import Proxy

import popoto
from popoto.configuration import configuration
from popoto.queries import fetch
from popoto.storage import Connection, reset, set_connection
from popoto.stores import FilesystemStore
from popoto_embedded.supervisor import Settings, open_server

EVERY = [pytest.param(name, marks=[] if name == "fake" else pytest.mark.server) for name in stores.NAMES]
REAL = [pytest.param(name, marks=pytest.mark.server) for name in stores.KINDS]


# Their assertions show what differs, as those of tests do.
pytest.register_assert_rewrite("corpus", "oracle", "trips")


def pytest_configure(config: pytest.Config) -> None:
    """Announce the markers."""
    config.addinivalue_line("markers", "server: needs a real server; -m 'not server' leaves the fake alone")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested because it cannot be had here."""
    missing = stores.missing()
    if not missing:
        return
    terminalreporter.section("NOT TESTED ON EVERY BACKEND", sep="!", red=True, bold=True)
    for name, reason in missing.items():
        terminalreporter.write_line(f"{name}: {reason}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """On a build machine a backend that cannot be had is a failure."""
    if os.environ.get("CI") == "true" and exitstatus == 0 and stores.missing().keys() - stores.OPTIONAL:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Servers]:
    """The servers of this session."""
    made = stores.Servers(tmp_path_factory.mktemp("servers"))
    yield made
    made.stop()


@pytest.fixture(scope="session")
def anchors(servers: stores.Servers) -> Iterator[dict[str, Connection]]:
    """One connection per embedded directory, so that its server lives as long as the session."""
    made: dict[str, Connection] = {}
    yield made
    for one in made.values():
        one.close()


def _fresh(name: str, servers: stores.Servers, anchors: dict[str, Connection]) -> Connection:
    if name in stores.missing():
        pytest.skip(f"{name} cannot be had here")
    url = servers.url(name)
    if name == "embedded" and name not in anchors:
        anchors[name] = Connection(url)
        assert anchors[name].info.server == "valkey"
    connection = Connection(url)
    if name != "fake":
        connection.native.flushall()
    return connection


def _as_default(connection: Connection) -> Iterator[Connection]:
    before = set_connection(connection)
    try:
        yield connection
    finally:
        reset()
        if before is not None:
            set_connection(before)


@pytest.fixture(params=EVERY)
def store(
    request: pytest.FixtureRequest, servers: stores.Servers, anchors: dict[str, Connection]
) -> Iterator[Connection]:
    """A fresh connection to an empty store, which every model uses; each backend in turn."""
    yield from _as_default(_fresh(request.param, servers, anchors))


@pytest.fixture
def fake() -> Iterator[Connection]:
    """The same on the fake alone, for what no server has a say in."""
    yield from _as_default(Connection("fake://"))


@pytest.fixture(params=REAL)
def server(
    request: pytest.FixtureRequest, servers: stores.Servers, anchors: dict[str, Connection]
) -> Iterator[Connection]:
    """The same on real servers behind a TCP socket alone."""
    yield from _as_default(_fresh(request.param, servers, anchors))


@pytest.fixture
def plain(request: pytest.FixtureRequest) -> Any:
    """The client library's own client, to read what is stored."""
    name = next(one for one in ("store", "server", "fake") if one in request.fixturenames)
    return request.getfixturevalue(name).native


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows queries were sent, reply by reply."""
    sizes: list[int] = []
    unpacked = fetch._unpacked

    def counting(found: Any) -> Any:
        rows = unpacked(found)
        if isinstance(rows, list):
            sizes.append(len(rows))
        return rows

    monkeypatch.setattr(fetch, "_unpacked", counting)
    return sizes


@pytest.fixture
def proxy(server: Connection) -> Iterator[Proxy]:
    """A proxy before the server."""
    host, port = server.url.hosts[0]
    with closing(Proxy((host, port or 6379))) as made:
        yield made


@pytest.fixture
def proxied(server: Connection, proxy: Proxy) -> Iterator[Connection]:
    """A connection through the proxy, in force for every model, whose first question has been answered."""
    made = Connection(f"{server.url.scheme}://127.0.0.1:{proxy.port}/0")
    assert made.info.version
    with popoto.using(made):
        yield made
    made.close()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The folder of a store of contents, which its first content makes."""
    return tmp_path / "contents"


@pytest.fixture
def files_store(base: Path) -> FilesystemStore:
    """A store of contents on files."""
    return FilesystemStore(base)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder in which fields keep their contents."""
    before = configuration.content_path
    configuration.content_path = str(tmp_path)
    yield tmp_path
    configuration.content_path = before


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    """Start programs that use an embedded server; they end with the test."""
    programs: list[Program] = []

    def start(source: str, *arguments: object) -> Program:
        programs.append(Program(source, *arguments))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
        with program.process:
            pass


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """The directory of an embedded server, which still opens after the test and is left by the last user."""
    directory = tmp_path / "data"
    yield directory
    if directory.exists():
        open_server(Settings(directory)).close()
        assert not serving(directory)
