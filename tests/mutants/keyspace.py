"""Mutants with a wrong idea of keys and strings."""

from __future__ import annotations

from mutants.mutant import Argv, Argvs, Mutant, Sending, word
from popoto.exceptions import ReplyError
from popoto.storage import Command, Reply, Step


class RenamesNothing(Mutant):
    """Answers that a missing key was renamed."""

    killed_by = "test_keys"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return True if word(step) == b"RENAME" and isinstance(reply, ReplyError) else reply


class RefusesRenamingToItself(Mutant):
    """Refuses to rename a key to the name that it has."""

    killed_by = "test_keys"

    def reply(self, step: Step, reply: Reply) -> Reply:
        if not isinstance(step, Command) or step.argv[0] != b"RENAME" or step.argv[1] != step.argv[2]:
            return reply
        return ReplyError("ERR", "source and destination objects are the same")


class RenamesWithoutExpiry(Mutant):
    """Loses a key's expiry when it is renamed."""

    killed_by = "test_expiry"

    def send(self, argvs: Argvs) -> Sending:
        raw = yield argvs
        renamed = [argv[2] for argv in argvs if argv[0] == b"RENAME"]
        if renamed:
            yield [(b"PERSIST", key) for key in renamed]
        return raw  # type: ignore[no-any-return]


class KeepsExpiryOfTarget(Mutant):
    """Gives a key that is renamed the expiry of the one that it replaces."""

    killed_by = "test_keys"

    def send(self, argvs: Argvs) -> Sending:
        if [argv[0] for argv in argvs] != [b"RENAME"]:
            return (yield argvs)  # type: ignore[no-any-return]
        left = yield [(b"PTTL", argvs[0][2])]
        raw = yield argvs
        if int(left[0]) > 0:
            yield [(b"PEXPIRE", argvs[0][2], str(left[0]).encode(), b"NX")]
        return raw  # type: ignore[no-any-return]


class KeepsWhatHasExpired(Mutant):
    """Takes an expiry that is not in the future for the shortest one that is."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"PEXPIRE" or int(argv[2]) > 0:
            return argv
        return (*argv[:2], b"1000", *argv[3:])


class SetsStringsOnly(Mutant):
    """Refuses to replace a container with a string."""

    killed_by = "test_strings"

    def send(self, argvs: Argvs) -> Sending:
        kept = [argv if argv[0] != b"SET" else (b"APPEND", argv[1], b"") for argv in argvs]
        if kept == list(argvs) or any(argv[0] == b"MULTI" for argv in argvs):
            return (yield argvs)  # type: ignore[no-any-return]
        probes = yield [(b"TYPE", argv[1]) for argv in argvs if argv[0] == b"SET"]
        kinds = iter(probes)
        refused = {
            at
            for at, argv in enumerate(argvs)
            if argv[0] == b"SET" and next(kinds) not in (b"string", b"none", "string", "none")
        }
        sent = [(b"PING",) if at in refused else argv for at, argv in enumerate(argvs)]
        raw = yield sent
        return [ReplyError("WRONGTYPE", "no string") if at in refused else one for at, one in enumerate(raw)]


class ReplacesWhereItAppends(Mutant):
    """Replaces a string where bytes were to be appended."""

    killed_by = "test_strings"

    def send(self, argvs: Argvs) -> Sending:
        raw = yield argvs
        appended = [(b"SET", argv[1], argv[2]) for argv in argvs if argv[0] == b"APPEND"]
        if appended:
            yield appended
        return raw  # type: ignore[no-any-return]


class WrapsAround(Mutant):
    """Answers the largest integer where a sum does not fit."""

    killed_by = "test_strings"

    def reply(self, step: Step, reply: Reply) -> Reply:
        overflow = word(step) == b"INCRBY" and isinstance(reply, ReplyError) and "overflow" in reply.text
        return 2**63 - 1 if overflow else reply


class CountsFromZero(Mutant):
    """Takes a string that is no number for 0 when it adds to it."""

    killed_by = "test_strings"

    def reply(self, step: Step, reply: Reply) -> Reply:
        no_number = word(step) == b"INCRBY" and isinstance(reply, ReplyError) and "integer" in reply.text
        return 1 if no_number else reply
