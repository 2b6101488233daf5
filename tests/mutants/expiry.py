"""Mutants that let keys live too long or die too soon."""

from __future__ import annotations

from mutants.mutant import Argv, Argvs, Executing, Mutant, Sending, word
from popoto.storage import Batch, Command, Reply, Step


class NeverExpires(Mutant):
    """Accepts an expiry and forgets it."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        return (b"EXISTS", argv[1]) if argv[0] == b"PEXPIRE" else argv


class IgnoresMoments(Mutant):
    """Accepts the moment at which a key is to expire and forgets it."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        return (b"EXISTS", argv[1]) if argv[0] == b"PEXPIREAT" else argv


class SecondsForMilliseconds(Mutant):
    """Takes milliseconds of expiry for seconds."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        return (b"EXPIRE", *argv[1:]) if argv[0] == b"PEXPIRE" else argv


class TellsSeconds(Mutant):
    """Tells the time left in seconds."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        return (b"TTL", *argv[1:]) if argv[0] == b"PTTL" else argv


class IgnoresPersist(Mutant):
    """Answers that an expiry was taken away, and keeps it."""

    killed_by = "test_expiry"

    def execute(self, batch: Batch) -> Executing:
        return (yield [self._asked(step) for step in batch])  # type: ignore[no-any-return]

    def _asked(self, step: Step) -> Step:
        if not isinstance(step, Command) or step.argv[0] != b"PERSIST":
            return step
        return Command(b"PTTL", step.argv[1], keys=step.keys, shape=lambda raw: int(raw) >= 0)


class MissingLivesForEver(Mutant):
    """Tells of a missing key that it never expires."""

    killed_by = "test_expiry"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return -1 if word(step) == b"PTTL" and reply == -2 else reply


class KeepsExpiryOnSet(Mutant):
    """Leaves a string that is set anew with its old expiry."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        return (*argv, b"KEEPTTL") if argv[0] == b"SET" and b"PX" not in argv[3:] else argv


class LosesExpiryOnWrite(Mutant):
    """Takes a hash's expiry away when a field is set."""

    killed_by = "test_expiry"

    def send(self, argvs: Argvs) -> Sending:
        raw = yield argvs
        written = [argv[1] for argv in argvs if argv[0] == b"HSET"]
        if written:
            yield [(b"PERSIST", key) for key in written]
        return raw  # type: ignore[no-any-return]


class SecondsForFields(Mutant):
    """Takes milliseconds of a field's expiry for seconds."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        return (b"HEXPIRE", *argv[1:]) if argv[0] == b"HPEXPIRE" else argv
