"""The error of the embedded server."""

from __future__ import annotations


class EmbeddedError(Exception):
    """The embedded server can't be found, started, reached or stopped.

    `problem` says what and where, `remedy` what to do about it; the message is both.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}"
