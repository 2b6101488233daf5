"""The pytest plug-in in projects of its own: inert where no model is used, and careful where one is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import Servers

from popoto import clock
from popoto.isolation import MARKER, FrozenClock, Settings
from popoto.storage.urls import parse

Run = Callable[..., subprocess.CompletedProcess[str]]

MODEL = """
import popoto
class Pet(popoto.Model):
    name = popoto.KeyField()
"""
TWO_TESTS = (
    MODEL
    + """
def test_one():
    Pet.create(name="a")
    assert Pet.query.count() == 1
def test_two():
    assert Pet.query.count() == 0
    Pet.create(name="a")
"""
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs pytest in a project of one file, with the plug-in found as an installed one is."""
    installed = tmp_path / "installed"
    if not entry_points(group="pytest11", name="popoto"):
        information = installed / "popoto_plugin-0.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: popoto-plugin\nVersion: 0\n")
        (information / "entry_points.txt").write_text("[pytest11]\npopoto = popoto.pytest_plugin\n")
    project = tmp_path / "project"
    project.mkdir()

    def run(source: str, *arguments: str, ini: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        (project / "test_it.py").write_text(source, encoding="utf-8")
        (project / "pytest.ini").write_text(f"[pytest]\nfilterwarnings = error\n{ini}", encoding="utf-8")
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("POPOTO_", "PYTEST_", "REDIS_URL", "VALKEY_URL"))
        }
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", *arguments]
        path = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            argv,
            cwd=project,
            env={**own, "PYTHONPATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def port(servers: Servers) -> int:
    return servers.port("redis-6.2")


@pytest.fixture
def client(port: int) -> Any:
    made = [redis.Redis(port=port, db=db) for db in (0, 7)]
    for one in made:
        one.flushdb()
    yield made
    for one in made:
        one.close()


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many tests passed, failed and so on."""
    words = done.stdout.strip().splitlines()[-1].replace(",", "").split()
    kinds = ("passed", "failed", "error", "errors", "skipped")
    return {kind: int(number) for number, kind in pairwise(words) if kind in kinds}


# D47


def test_d47_a_project_without_models_notices_nothing(run: Run) -> None:
    loaded = "sorted(name for name in sys.modules if name.split('.')[0] == 'popoto')"
    source = f"import sys\ndef test_it(): assert {loaded} == ['popoto', 'popoto.pytest_plugin']"
    wrong = {"POPOTO_TEST_DB": "0", "POPOTO_TEST_URL": "redis://127.0.0.1:1/0"}
    assert outcome(run(source, **wrong)) == {"passed": 1}


def test_models_get_an_empty_store_of_their_own_without_a_server(run: Run) -> None:
    assert outcome(run(TWO_TESTS, POPOTO_URL="redis://127.0.0.1:1/0")) == {"passed": 2}


def test_a_model_of_a_named_connection_is_isolated_too(run: Run) -> None:
    source = TWO_TESTS.replace("name = popoto.KeyField()", "name = popoto.KeyField()\n    class Meta: connection='x'")
    assert outcome(run(f"import popoto\npopoto.connect('redis://127.0.0.1:1', name='x')\n{source}")) == {"passed": 2}


def test_the_connections_are_put_back(run: Run) -> None:
    source = (
        TWO_TESTS
        + "\nimport atexit\npopoto.connect('fake://mine')\natexit.register(lambda: print(popoto.connection()))"
    )
    done = run(source, "-s")
    assert (outcome_of_first(done), "<Connection fake://mine>" in done.stdout) == ("2 passed", True)


def outcome_of_first(done: subprocess.CompletedProcess[str]) -> str:
    return next(" ".join(line.split()[:2]) for line in done.stdout.splitlines() if " passed" in line)


def test_it_can_be_disabled(run: Run) -> None:
    done = run(MODEL + "def test_it(popoto_store): pass", "-p", "no:popoto")
    assert ("fixture 'popoto_store' not found" in done.stdout, outcome(done)) == (True, {"error": 1})
    source = MODEL + "def test_it(): assert popoto.connection().url.raw == 'fake://mine'"
    assert outcome(run(source, "-p", "no:popoto", POPOTO_URL="fake://mine")) == {"passed": 1}


# A server's database


@pytest.mark.server
def test_a_test_database_is_used_and_left_empty(run: Run, port: int, client: Any) -> None:
    production, test = client
    production.set("Pet:precious", "1")
    ask = "\ndef test_there(popoto_store): assert popoto_store.url.path == '7'"
    for ini, environment in (("popoto_test_db = 7", {}), ("popoto_test_db = 0", {"POPOTO_TEST_DB": "7"})):
        done = run(TWO_TESTS + ask, ini=ini, POPOTO_URL=f"redis://127.0.0.1:{port}/0", **environment)
        assert outcome(done) == {"passed": 3}, done.stdout
        assert (production.keys(), test.keys()) == ([b"Pet:precious"], [])


@pytest.mark.server
def test_a_url_without_a_database_means_15(run: Run, port: int) -> None:
    source = MODEL + "def test_it(popoto_store): assert popoto_store.url.path == '15'"
    assert outcome(run(source, ini=f"popoto_test_url = redis://127.0.0.1:{port}")) == {"passed": 1}


@pytest.mark.server
def test_a_database_with_foreign_data_is_refused_and_left(run: Run, port: int, client: Any) -> None:
    _, test = client
    test.set("precious", "1")
    done = run(TWO_TESTS, POPOTO_TEST_URL=f"redis://127.0.0.1:{port}/7")
    assert outcome(done) == {"errors": 2}
    assert ("holds 1 keys" in done.stdout, "POPOTO_TEST_DB" in done.stdout) == (True, True)
    assert test.keys() == [b"precious"]


@pytest.mark.server
def test_a_marked_database_is_taken_over(run: Run, port: int, client: Any) -> None:
    _, test = client
    test.mset({MARKER: "1", "left": "by a run that was killed"})
    assert outcome(run(TWO_TESTS, POPOTO_TEST_URL=f"redis://127.0.0.1:{port}/7")) == {"passed": 2}
    assert test.keys() == []


@pytest.mark.server
def test_each_xdist_worker_has_a_namespace(run: Run, port: int, client: Any) -> None:
    _, test = client
    source = (
        MODEL
        + """
import os, pytest, time
@pytest.mark.parametrize("turn", range(6))
def test_it(turn, popoto_store):
    assert popoto_store.layout.namespace == os.environ["PYTEST_XDIST_WORKER"]
    Pet.create(name=str(turn))
    time.sleep(0.05)
    assert [pet.name for pet in Pet.query.all()] == [str(turn)]
"""
    )
    done = run(source, "-n", "2", POPOTO_TEST_URL=f"redis://127.0.0.1:{port}/7")
    assert (outcome(done), test.keys()) == ({"passed": 6}, [MARKER.encode()]), done.stdout


@pytest.mark.server
def test_a_worker_that_is_killed_once_it_has_finished_leaves_nothing(run: Run, port: int, client: Any) -> None:
    _, test = client
    source = (
        MODEL
        + """
import os
class Killed:
    def pytest_unconfigure(self):
        os._exit(9)
def test_it(request):
    request.config.pluginmanager.register(Killed())
    Pet.create(name="a")
"""
    )
    done = run(source, "-n", "1", POPOTO_TEST_URL=f"redis://127.0.0.1:{port}/7")
    assert (outcome(done), test.keys()) == ({"passed": 1}, [MARKER.encode()]), done.stdout


@pytest.mark.parametrize(
    ("ini", "environment", "said"),
    [
        ("popoto_test_db = 0", {}, "popoto_test_db='0' is refused"),
        ("", {"POPOTO_TEST_DB": "0"}, "POPOTO_TEST_DB='0' is refused"),
        ("", {"POPOTO_TEST_DB": "x"}, "POPOTO_TEST_DB='x' must be an integer"),
        ("popoto_test_db = five", {}, "popoto_test_db='five' must be an integer"),
        ("popoto_test_url = redis://127.0.0.1:1/0", {}, "database 0 is where production data lives"),
    ],
)
def test_wrong_databases_are_refused(run: Run, ini: str, environment: dict[str, str], said: str) -> None:
    done = run(TWO_TESTS, ini=ini, POPOTO_URL="redis://127.0.0.1:1/0", **environment)
    assert (outcome(done), said in done.stdout) == ({"errors": 2}, True)


def test_priorities_of_the_database() -> None:
    with_db, without = parse("redis://h/3"), parse("redis://h")
    assert [
        Settings(db_variable="5", db_option="6").db(with_db),
        Settings(db_option="6").db(with_db),
        Settings(db_option="6").db(without),
        Settings().db(without),
    ] == [5, 3, 6, 15]


# Fixtures


def test_fixtures_give_the_store_a_frozen_clock_and_a_count(run: Run) -> None:
    source = """
def test_it(popoto_store, popoto_clock, popoto_round_trips):
    import popoto
    from datetime import datetime
    class Pet(popoto.Model):
        name = popoto.KeyField()
        seen = popoto.DatetimeField(auto_now=True)
    pet = Pet.create(name="a")
    assert popoto_round_trips == 1
    assert pet.seen.timestamp() == round(popoto_clock.now, 6) or abs(pet.seen.timestamp() - popoto_clock.now) < 1e-5
    popoto_clock.tick(3600)
    before = pet.seen
    pet.save()
    assert (pet.seen - before).total_seconds() == 3600
    assert popoto_round_trips == 2
    assert popoto_store is popoto.connection()
    assert popoto_store.native.exists("Pet:a")
"""
    done = run(source)
    assert outcome(done) == {"passed": 1}, done.stdout


def test_a_frozen_clock_stands_still_until_it_is_moved() -> None:
    frozen = FrozenClock(100.0)
    with clock.frozen(frozen):
        assert (clock.now(), frozen.tick(5), clock.now()) == (100.0, 105.0, 105.0)
        frozen.now = 1.0
        assert clock.now() == 1.0


def test_the_entry_point_is_declared() -> None:
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.entry-points.pytest11]\npopoto = "popoto.pytest_plugin"\n' in project
