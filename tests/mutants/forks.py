"""Runs the conformance suite again and again, each time in a forked child: what every run imports is imported once.

`python -m mutants.forks` reads a line of JSON for each run, `[folder, seconds, url, argument, ...]`, and answers with
the exit code, which is that of `python -m popoto_conformance url argument ...`; its output goes to `folder`/output.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from pathlib import Path

import hypothesis.stateful  # noqa: F401

import popoto
from popoto_conformance import run


def forked(folder: Path, seconds: int, url: str, arguments: list[str]) -> int:
    """Run the suite in a child and return its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:
        signal.alarm(seconds)
        os.chdir(folder)
        with Path("output").open("wb") as output, Path(os.devnull).open("rb") as nothing:
            for here, there in ((nothing, 0), (output, 1), (output, 2)):
                os.dup2(here.fileno(), there)
            code = run(url, *arguments)
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        # Never back into the loop of the parent.
        os._exit(code)


def main() -> None:
    """Serve until the input ends."""
    for name in popoto.__all__:
        getattr(popoto, name)
    # A collection in a child would copy every page of what was imported.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        folder, seconds, url, *arguments = json.loads(line)
        print(forked(Path(folder), seconds, url, arguments), flush=True)


if __name__ == "__main__":
    main()
