"""The conformance suite bites: it passes on a sound backend and fails on every deliberately broken one.

The broken ones live in `tests/mutants`, a plug-in that is installed for the suite's process as a third party's is.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mutants import MUTANTS, SOUND
from mutants.mutant import BOTH, Mutant

from popoto_embedded.binary import find_binary

TESTS = Path(__file__).resolve().parent
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


@dataclass(frozen=True)
class Suite:
    """The suite's command, in an environment where the mutants are installed."""

    folder: Path
    environment: dict[str, str]

    def run(self, url: str, modules: tuple[str, ...], *options: str) -> Outcome:
        """Run some modules of the suite on the store of a URL."""
        chosen = " or ".join(f"{module}.py" for module in modules)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = Path(folder, "report.json")
            words = [url, "-q", "-k", chosen, "--conformance-report", str(path), *options]
            done = subprocess.run(
                [sys.executable, "-m", "popoto_conformance", *words],
                env=self.environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            report = json.loads(path.read_text()) if path.exists() else {}
        return Outcome(done.returncode, report, done.stdout + done.stderr)


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A folder that looks like a third party's installed plug-in, on the path of the suite's process."""
    folder = tmp_path_factory.mktemp("site")
    facts = folder / "popoto_mutants-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: popoto-mutants\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[popoto.backends]\nmutant = mutants\n")
    (folder / "mutants").symlink_to(TESTS / "mutants", target_is_directory=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "POPOTO_"))}
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    own = {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return Suite(folder, {**inherited, **own})


@pytest.fixture(scope="session")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server of our own, for what shows on a socket only."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    words = {"port": str(number), "bind": "127.0.0.1", "dir": str(folder), "save": "", "appendonly": "no"}
    argv = [str(find_binary(folder).path), *(word for name, value in words.items() for word in (f"--{name}", value))]
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as server:
        try:
            _await(number, server)
            yield number
        finally:
            server.terminate()


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("the server for the mutants did not start")


def modules_of(kind: type[Mutant]) -> tuple[str, ...]:
    return (kind.killed_by,) if isinstance(kind.killed_by, str) else kind.killed_by


def names(*, on_socket: bool) -> list[str]:
    return sorted(name for name, kind in MUTANTS.items() if kind.on_socket is on_socket)


def url_on(port: int, name: str) -> str:
    return f"mutant://127.0.0.1:{port}/0?mutant={name}"


def assert_killed(name: str, outcome: Outcome) -> None:
    assert outcome.code == SOME_FAILED, f"{name} survives, or breaks the suite itself:\n{outcome.text[-3000:]}"
    assert outcome.found, outcome.text[-3000:]
    killers = {f"{module}.py" for module in modules_of(MUTANTS[name])}
    assert {case.partition("::")[0] for case in outcome.found} <= killers


@pytest.mark.parametrize("name", names(on_socket=False))
def test_suite_fails_on_mutant(suite: Suite, name: str) -> None:
    outcome = suite.run(f"mutant://{name}", modules_of(MUTANTS[name]), "-x")
    assert_killed(name, outcome)


@pytest.mark.parametrize("name", names(on_socket=True))
def test_suite_fails_on_mutant_on_a_socket(suite: Suite, port: int, name: str) -> None:
    outcome = suite.run(url_on(port, name), modules_of(MUTANTS[name]), "-x")
    assert_killed(name, outcome)


def test_suite_passes_on_the_sound_base(suite: Suite) -> None:
    killers = sorted({module for name in names(on_socket=False) for module in modules_of(MUTANTS[name])})
    outcome = suite.run(f"mutant://{SOUND}", tuple(killers))
    assert outcome.code == ALL_PASSED, outcome.text[-3000:]


def test_suite_passes_on_the_sound_base_on_a_socket(suite: Suite, port: int) -> None:
    killers = sorted({module for name in names(on_socket=True) for module in modules_of(MUTANTS[name])})
    outcome = suite.run(url_on(port, SOUND), tuple(killers))
    assert outcome.code == ALL_PASSED, outcome.text[-3000:]


def test_there_are_enough_mutants() -> None:
    assert len(MUTANTS) >= FEWEST


def test_every_mutant_says_in_one_sentence_what_is_broken() -> None:
    sentences = {name: kind.__dict__.get("__doc__") or "" for name, kind in MUTANTS.items()}
    assert {name for name, text in sentences.items() if not text.endswith(".") or "\n" in text} == set()
    assert len(set(sentences.values())) == len(sentences)


def test_every_mutant_names_the_module_that_kills_it() -> None:
    assert {name for name, kind in MUTANTS.items() if not modules_of(kind)} == set()


def test_a_mutant_of_one_form_only_is_among_them() -> None:
    assert {name for name, kind in MUTANTS.items() if kind.forms != BOTH} == {"async-twin-differs"}
