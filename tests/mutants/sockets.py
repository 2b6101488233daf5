"""Mutants that show on a socket only: what they do when replies are lost, and how often they ask."""

from __future__ import annotations

import redis

from mutants.mutant import Argvs, Mutant, Sending
from popoto.exceptions import OutcomeUnknown, TimedOut, Unavailable


class SendsOneByOne(Mutant):
    """Exchanges the commands of a batch one by one."""

    killed_by = "test_faults"
    on_socket = True

    def send(self, argvs: Argvs) -> Sending:
        if any(argv[0] == b"MULTI" for argv in argvs):
            return (yield argvs)  # type: ignore[no-any-return]
        raw = []
        for argv in argvs:
            raw += yield [argv]
        return raw


class RetriesWrites(Mutant):
    """Sends a batch again whose replies were lost, also one that writes."""

    killed_by = "test_faults"
    on_socket = True

    def send(self, argvs: Argvs) -> Sending:
        try:
            return (yield argvs)  # type: ignore[no-any-return]
        except OutcomeUnknown:
            return (yield argvs)  # type: ignore[no-any-return]


class NeverRetriesReads(Mutant):
    """Does not ask again when the replies of a reading batch were lost."""

    killed_by = "test_faults"
    on_socket = True

    def send(self, argvs: Argvs) -> Sending:
        try:
            return (yield argvs)  # type: ignore[no-any-return]
        except OutcomeUnknown as error:
            # The core asks again after any loss but this one.
            raise TimedOut(str(error)) from error


class CallsLostWritesUndone(Mutant):
    """Says of a writing batch whose replies were lost that nothing ran."""

    killed_by = "test_faults"
    on_socket = True

    def send(self, argvs: Argvs) -> Sending:
        try:
            return (yield argvs)  # type: ignore[no-any-return]
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from error


class InventsLostReplies(Mutant):
    """Answers nothing in the place of replies that were lost."""

    killed_by = "test_faults"
    on_socket = True

    def send(self, argvs: Argvs) -> Sending:
        try:
            return (yield argvs)  # type: ignore[no-any-return]
        except OutcomeUnknown:
            return [1 for _ in argvs]


class ShowsClientErrors(Mutant):
    """Raises its client's own error when the server is gone."""

    killed_by = "test_faults"
    on_socket = True

    def send(self, argvs: Argvs) -> Sending:
        try:
            return (yield argvs)  # type: ignore[no-any-return]
        except Unavailable as error:
            raise redis.ConnectionError(str(error)) from error


class NeverHeals(Mutant):
    """Stays out of order once its connection was lost."""

    killed_by = "test_faults"
    on_socket = True

    def __init__(self) -> None:
        self.lost = False

    def send(self, argvs: Argvs) -> Sending:
        if self.lost:
            raise Unavailable("the connection was lost")
        try:
            return (yield argvs)  # type: ignore[no-any-return]
        except (OutcomeUnknown, Unavailable):
            self.lost = True
            raise
