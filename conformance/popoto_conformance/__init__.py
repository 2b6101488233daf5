"""The conformance suite: one command that says whether a backend is one.

`popoto-conformance URL` runs every case against the store of a URL and prints a report by group.
"""

from popoto.storage.protocol import PROTOCOL

try:
    from popoto_conformance.cases import Keys, case, exactly
    from popoto_conformance.runs import run
except ImportError as error:
    if error.name not in {"pytest", "hypothesis"}:
        raise
    raise ImportError(f"the suite needs {error.name}: pip install 'popoto[conformance]'", name=error.name) from error

__all__ = ["PROTOCOL", "Keys", "case", "exactly", "run"]
