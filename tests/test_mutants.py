"""The conformance suite bites: it passes on a sound backend and fails on every deliberately broken one.

The broken ones live in `tests/mutants`, a plug-in that is installed for the suite's process as a third party's is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import servers as stores
from mutants import KINDS, MUTANTS, SOUND
from mutants.mutant import BOTH, Mutant

import popoto_conformance

TESTS = Path(__file__).resolve().parent
CASES = Path(popoto_conformance.__file__).parent / "suite"
FEWEST = 30
SECONDS = 100
# pytest's own numbers.
ALL_PASSED, SOME_FAILED = 0, 1


@dataclass(frozen=True)
class Outcome:
    """How a run of the suite ended: its exit code, its report, and what it printed."""

    code: int
    report: dict[str, Any]
    text: str

    @property
    def found(self) -> list[str]:
        """The cases that failed, or skipped themselves unasked; what goes wrong outside of a case proves nothing."""
        return [*self.report.get("failed", ()), *self.report.get("stray", ())]


class Suite:
    """The suite, in a process of its own in which the mutants are installed."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._count = count()
        self._forks = subprocess.Popen(
            [sys.executable, "-m", "mutants.forks"],
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process that runs are forked from."""
        self._forks.communicate()

    def command(self, url: str, modules: tuple[str, ...]) -> Outcome:
        """Run some modules as a third party does, by the suite's command."""
        folder = self._fresh()
        with (folder / "output").open("wb") as output:
            argv = [sys.executable, "-m", "popoto_conformance", url, *_arguments(modules)]
            done = subprocess.run(
                argv, env=self.environment, cwd=folder, stdout=output, stderr=output, timeout=SECONDS, check=False
            )
        return _outcome(done.returncode, folder)

    def run(self, url: str, modules: tuple[str, ...]) -> Outcome:
        """Run some modules up to the first failure; the same without the seconds of imports."""
        folder = self._fresh()
        assert self._forks.stdin is not None and self._forks.stdout is not None
        self._forks.stdin.write(json.dumps([str(folder), SECONDS, url, *_arguments(modules), "-x"]) + "\n")
        self._forks.stdin.flush()
        return _outcome(int(self._forks.stdout.readline()), folder)

    def _fresh(self) -> Path:
        folder = self.folder / f"run{next(self._count)}"
        folder.mkdir()
        return folder


def _arguments(modules: tuple[str, ...]) -> list[str]:
    # What is not chosen is not even imported, which takes longer than most runs.
    others = [path for path in CASES.glob("test_*.py") if path.stem not in modules]
    return ["-q", "--conformance-report", "report.json", *(f"--ignore={path}" for path in others)]


def _outcome(code: int, folder: Path) -> Outcome:
    report = folder / "report.json"
    facts = json.loads(report.read_text()) if report.exists() else {}
    return Outcome(code, facts, (folder / "output").read_text(errors="replace"))


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """The suite beside a folder that looks like a third party's installed plug-in."""
    folder = tmp_path_factory.mktemp("site")
    facts = folder / "popoto_mutants-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: popoto-mutants\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[popoto.backends]\nmutant = mutants\n")
    (folder / "mutants").symlink_to(TESTS / "mutants", target_is_directory=True)
    # Apart from this run's settings, and from the plug-ins of pytest that happen to be installed.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "POPOTO_"))}
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    made = Suite(folder, {**inherited, "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    yield made
    made.close()


@pytest.fixture(scope="session")
def port(servers: stores.Servers) -> int:
    """The port of a server, for what shows on a socket only."""
    missing = stores.missing()
    found = next((name for name in ("valkey", "redis-6.2", "redis") if name not in missing), None)
    assert found is not None, f"no server to be had here: {missing}"
    return servers.port(found)


def modules_of(kind: type[Mutant]) -> tuple[str, ...]:
    return (kind.killed_by,) if isinstance(kind.killed_by, str) else kind.killed_by


def names(*, on_socket: bool) -> list[str]:
    return sorted(name for name, kind in MUTANTS.items() if kind.on_socket is on_socket)


def killers(*, on_socket: bool) -> tuple[str, ...]:
    """The modules that kill these mutants."""
    return tuple(sorted({module for name in names(on_socket=on_socket) for module in modules_of(MUTANTS[name])}))


def url_of(name: str, modules: tuple[str, ...]) -> str:
    return f"mutant://{name}{'?restarts=yes' if 'test_persistence' in modules else ''}"


def url_on(port: int, name: str) -> str:
    return f"mutant://127.0.0.1:{port}/0?mutant={name}"


def assert_killed(name: str, outcome: Outcome) -> None:
    assert outcome.code == SOME_FAILED, f"{name} survives, or breaks the suite itself:\n{outcome.text[-3000:]}"
    assert outcome.found, f"{name} breaks the suite itself:\n{outcome.text[-3000:]}"
    modules = {f"{module}.py" for module in modules_of(MUTANTS[name])}
    assert {case.partition("::")[0] for case in outcome.found} <= modules


@pytest.mark.parametrize("name", names(on_socket=False))
def test_suite_fails_on_mutant(suite: Suite, name: str) -> None:
    modules = modules_of(MUTANTS[name])
    assert_killed(name, suite.run(url_of(name, modules), modules))


@pytest.mark.server
@pytest.mark.parametrize("name", names(on_socket=True))
def test_suite_fails_on_mutant_on_a_socket(suite: Suite, port: int, name: str) -> None:
    assert_killed(name, suite.run(url_on(port, name), modules_of(MUTANTS[name])))


@pytest.mark.parametrize("module", killers(on_socket=False))
def test_suite_passes_on_the_sound_base(suite: Suite, module: str) -> None:
    outcome = suite.run(url_of(SOUND, (module,)), (module,))
    assert outcome.code == ALL_PASSED, outcome.text[-3000:]
    assert outcome.report["groups"], f"{module} has no case"


@pytest.mark.server
@pytest.mark.parametrize("module", killers(on_socket=True))
def test_suite_passes_on_the_sound_base_on_a_socket(suite: Suite, port: int, module: str) -> None:
    outcome = suite.run(url_on(port, SOUND), (module,))
    assert outcome.code == ALL_PASSED, outcome.text[-3000:]
    assert outcome.report["groups"], f"{module} has no case"


def test_the_command_ends_as_a_forked_run_does(suite: Suite) -> None:
    sound = suite.command(f"mutant://{SOUND}", ("test_geo",))
    assert (sound.code, sound.found) == (ALL_PASSED, []), sound.text[-3000:]
    assert_killed("swaps-axes", suite.command("mutant://swaps-axes", ("test_geo",)))


def test_there_are_enough_mutants() -> None:
    assert len(MUTANTS) >= FEWEST


def test_no_two_mutants_share_a_name() -> None:
    assert len(MUTANTS) == len(KINDS)


def test_every_mutant_says_in_one_sentence_what_is_broken() -> None:
    sentences = {name: kind.__dict__.get("__doc__") or "" for name, kind in MUTANTS.items()}
    assert {name for name, text in sentences.items() if not text.endswith(".") or "\n" in text} == set()
    assert len(set(sentences.values())) == len(sentences)


def test_every_mutant_names_the_module_that_kills_it() -> None:
    assert {name for name, kind in MUTANTS.items() if not modules_of(kind)} == set()


def test_a_mutant_of_one_form_only_is_among_them() -> None:
    assert {name for name, kind in MUTANTS.items() if kind.forms != BOTH} == {"async-twin-differs"}
