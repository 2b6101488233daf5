"""One run of the suite against one URL, apart from the project it is started in."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

HOME: Final = Path(__file__).resolve().parent


def arguments(url: str, *pytest_args: str) -> list[str]:
    """The pytest command line of a run.

    An ini file of our own and no conftest keep the settings of the project in the current directory out.
    """
    own = ["-c", str(HOME / "conformance.ini"), "--rootdir", str(HOME), "--noconftest"]
    quiet = ["-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:popoto"]
    suite = ["--pyargs", "popoto_conformance", "-p", "popoto_conformance.plugin", "--backend", url]
    return [*own, *quiet, *suite, *pytest_args]


def run(url: str, *pytest_args: str) -> int:
    """Run the suite against the store of a URL and return the exit code: 0 when no case failed.

    Args:
        url: the backend's URL.
        pytest_args: further arguments for pytest, as `-k geo`, `-x`, `--conformance-report out.json`.
    """
    return int(pytest.main(arguments(url, *pytest_args)))
