"""The pytest plug-in that runs the suite: its options, fixtures, the fate of each case, and the report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from popoto.exceptions import BackendError, BadURL
from popoto.storage import Connection, ask, ask_all
from popoto.storage.commands.keys import delete
from popoto_conformance.cases import Driver, Keys, NotApplicable, Plan, Prover, not_applicable, proved
from popoto_conformance.faults import Proxy
from popoto_conformance.report import Report
from popoto_conformance.stores import Store

SUITE: Final = Path(__file__).resolve().parent / "suite"
UNREACHABLE: Final = 3
STORE: Final = pytest.StashKey[Store]()
REPORT: Final = pytest.StashKey[Report]()
WARNINGS: Final = (
    "error::ResourceWarning",
    "error::RuntimeWarning",
    "error::pytest.PytestUnraisableExceptionWarning",
    "error::pytest.PytestUnhandledThreadExceptionWarning",
)


class Declined(NotApplicable):
    """The skip of a case that is no plan and needs what is not claimed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    options = parser.getgroup("popoto conformance")
    options.addoption("--backend", metavar="URL", help="the store to run the suite against")
    options.addoption("--conformance-report", metavar="FILE", help="write the report as JSON")
    options.addoption("--require", metavar="CAPABILITY", action="append", default=[], help="must be claimed")


def pytest_configure(config: pytest.Config) -> None:
    """Make the suite's rules hold whatever project it is started in."""
    config.addinivalue_line("markers", "needs(*capabilities): what a case is about, beyond the base")
    config.addinivalue_line("markers", "twin(case): the case that this one runs in another way")
    config.addinivalue_line("markers", "case: a plan that both drivers run")
    for line in WARNINGS:
        config.addinivalue_line("filterwarnings", line)
    url = config.getoption("--backend")
    if not url:
        raise pytest.UsageError("name the store to run against: --backend URL")
    try:
        config.stash[STORE] = Store(url)
    except BadURL as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Connect: a store that was named and cannot be reached is an error, never a skip."""
    store = session.config.stash[STORE]
    try:
        info = store.info
    except BadURL as error:
        raise pytest.UsageError(str(error)) from None
    except BackendError as error:
        pytest.exit(f"{store.masked}: {error}", returncode=UNREACHABLE)
    required = tuple(session.config.getoption("--require"))
    report = session.config.stash[REPORT] = Report(store.masked, info, required, store.deviations)
    if session.config.pluginmanager.hasplugin("dsession"):
        # The workers of xdist collect; here it is known only what was asked for.
        chosen = session.config.option.keyword or session.config.option.markexpr
        report.complete = session.config.args == ["popoto_conformance"] and not chosen


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Make each deviation that the plug-in owns to a strict expected failure."""
    store, report = session.config.stash[STORE], session.config.stash[REPORT]
    ours = [item for item in items if item.path.is_relative_to(SUITE)]
    files = {item.path.name for item in ours}
    report.complete = {path.name for path in SUITE.glob("test_*.py")} <= files
    report.complete = report.complete and not any("::" in word for word in session.config.args)
    unused = dict(report.deviations)
    for item in ours:
        twins = [name for mark in item.iter_markers("twin") for name in mark.args]
        for name in (case_id(item.nodeid), case_id(item.nodeid).partition("[")[0], *twins):
            if name in report.deviations:
                unused.pop(name, None)
                if not _missing(item, store):
                    item.add_marker(pytest.mark.xfail(reason=report.deviations[name], strict=True))
                break
    for name in unused:
        if name.partition("::")[0] in files and report.complete:
            report.problems.append(f"a deviation names no case: {name}")


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Note that the command line leaves cases out."""
    if items:
        items[0].config.stash[REPORT].deselected += len(items)


def case_id(nodeid: str) -> str:
    """A case's name in reports and deviations, as `test_geo.py::test_circle[sync]`."""
    path, mark, rest = nodeid.partition("::")
    return f"{path.rpartition('/')[2]}{mark}{rest}"


def _needs(item: pytest.Item) -> frozenset[str]:
    return frozenset(name for mark in item.iter_markers("needs") for name in mark.args)


def _missing(item: pytest.Item, store: Store) -> frozenset[str]:
    return _needs(item) - store.info.capabilities


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Decline what is no plan; a plan is run in its declined form."""
    missing = _missing(item, item.config.stash[STORE])
    if missing and item.get_closest_marker("case") is None:
        raise Declined(f"declined: {', '.join(sorted(missing))}", _use_item_location=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write a case's verdict on its report."""
    report = yield
    if item.path.is_relative_to(SUITE):
        # Attributes of a report travel with it, also from a worker of xdist.
        vars(report).update(conformance=_verdict(item, call, report), needs=sorted(_needs(item)))
    return report


def _verdict(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    if report.failed:
        return "failed"
    if hasattr(report, "wasxfail"):
        # A strict expected failure is of our making; any other way to it is as good as a skip.
        return "deviating" if item.get_closest_marker("xfail") else "stray"
    if report.skipped:
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, Declined):
            return "declined"
        return "not_applicable" if isinstance(error, NotApplicable) else "stray"
    if report.when != "call":
        return ""
    return "declined" if _missing(item, item.config.stash[STORE]) else "verified"


class _Log:
    """Gathers verdicts where results arrive, which under xdist is another process than where they were made."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def pytest_runtest_logreport(self, report: Any) -> None:
        verdict: str = getattr(report, "conformance", "")
        if not verdict:
            return
        name = case_id(report.nodeid)
        reason = report.longrepr[2].rpartition("NotApplicable: ")[2] if isinstance(report.longrepr, tuple) else ""
        if verdict == "stray":
            self.report.stray[name] = reason.removeprefix("Skipped: ")
            return
        self.report.note(name, verdict, reason.removeprefix("Skipped: "))
        if verdict == "verified":
            self.report.proven.update(report.needs)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.report.problems.append(f"cannot be collected: {report.nodeid}")
        elif report.skipped:
            self.report.stray[case_id(report.nodeid)] = str(report.longrepr)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Begin to listen."""
    session.config.pluginmanager.register(_Log(session.config.stash[REPORT]), "popoto-conformance-log")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the report, and let the exit code tell what it says."""
    report = session.config.stash[REPORT]
    if hasattr(session.config, "workerinput"):
        return
    if exitstatus == pytest.ExitCode.OK and report.faults:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    path = session.config.getoption("--conformance-report")
    if path:
        report.write(path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the report."""
    report = config.stash.get(REPORT, None)
    if report is not None and not config.option.collectonly:
        terminalreporter.section("popoto conformance")
        for line in report.lines():
            terminalreporter.write_line(line)


# Fixtures


@pytest.fixture(scope="session", autouse=True)
def _hypothesis_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    set_hypothesis_home_dir(str(tmp_path_factory.mktemp("hypothesis")))


@pytest.fixture(scope="session")
def store(pytestconfig: pytest.Config) -> Store:
    """The store under test."""
    return pytestconfig.stash[STORE]


@pytest.fixture(scope="session")
def runner(store: Store) -> Iterator[asyncio.Runner]:
    """The event loop that all asynchronous cases share."""
    with asyncio.Runner() as runner:
        yield runner
        runner.run(store.connection.aclose())


@pytest.fixture(scope="session")
def connection(store: Store, runner: asyncio.Runner) -> Connection:
    """The connection that most cases share."""
    return store.connection


@pytest.fixture(params=["sync", "async"])
def driver(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Driver:
    """Each of the two drivers in turn."""
    return Driver(request.param, runner)


@pytest.fixture
def connect(store: Store, runner: asyncio.Runner) -> Iterator[Callable[..., Connection]]:
    """Makes further connections, to the store's URL with options or to another URL, and closes them afterwards."""
    made: list[Connection] = []

    def connect(url: str = "", **options: str) -> Connection:
        made.append(Connection(url or store.with_options(**options)))
        return made[-1]

    yield connect
    for one in made:
        runner.run(one.aclose())


@pytest.fixture
def k(store: Store) -> Iterator[Keys]:
    """Hands out keys and deletes them afterwards; nothing is ever flushed."""
    keys = Keys()
    yield keys
    steps = [delete(key) for key in keys.handed]
    for start in range(0, len(steps), 500):
        store.connection.run(ask_all(steps[start : start + 500], errors="return"))


@pytest.fixture
def prove(request: pytest.FixtureRequest, driver: Driver, connection: Connection, k: Keys) -> Prover:
    """Runs a case, or its declined form where the backend does not claim what it needs."""

    def prove(plan: Plan, needs: tuple[str, ...]) -> None:
        __tracebackhide__ = True
        proved(driver, connection, k, plan, needs)

    return prove


@pytest.fixture
def proxy(store: Store) -> Iterator[Proxy]:
    """A proxy in front of the store's socket."""
    address = store.address
    if address is None:
        raise not_applicable("no socket to cut")
    proxy = Proxy(address)
    yield proxy
    proxy.close()


@pytest.fixture
def proxied(store: Store, proxy: Proxy, driver: Driver, connect: Callable[..., Connection], k: Keys) -> Connection:
    """A connection through the proxy, already in use, so that the next request is the case's own."""
    connection = connect(store.through(proxy.port))
    driver.run(connection, ask(delete(k("warm"))))
    return connection
