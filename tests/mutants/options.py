"""Mutants that forget a word of a command."""

from __future__ import annotations

from mutants.mutant import Argv, Mutant, without


class ForgetsNxOfSet(Mutant):
    """Sets a string that was to be set only when missing."""

    killed_by = "test_strings"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:3], *without(argv, b"NX")[3:]) if argv[0] == b"SET" else argv


class ForgetsXxOfSet(Mutant):
    """Sets a string that was to be set only when present."""

    killed_by = "test_strings"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:3], *without(argv, b"XX")[3:]) if argv[0] == b"SET" else argv


class ForgetsExpiryOfSet(Mutant):
    """Sets a string without the expiry that was asked for."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"SET" or b"PX" not in argv[3:]:
            return argv
        at = argv.index(b"PX", 3)
        return argv[:at] + argv[at + 2 :]


class _ZaddWithout(Mutant):
    forgotten = b""

    def argv(self, argv: Argv) -> Argv:
        return without(argv, self.forgotten) if argv[0] == b"ZADD" else argv


class ForgetsNxOfZadd(_ZaddWithout):
    """Changes the score of a member that was to be added only when missing."""

    killed_by = "test_sorted_sets"
    forgotten = b"NX"


class ForgetsXxOfZadd(_ZaddWithout):
    """Adds a member whose score was to be changed only when present."""

    killed_by = "test_sorted_sets"
    forgotten = b"XX"


class ForgetsGt(_ZaddWithout):
    """Lowers a score that was only to be raised."""

    killed_by = "test_sorted_sets"
    forgotten = b"GT"


class ForgetsLt(_ZaddWithout):
    """Raises a score that was only to be lowered."""

    killed_by = "test_sorted_sets"
    forgotten = b"LT"


class ForgetsCh(_ZaddWithout):
    """Counts new members where changed ones were to be counted too."""

    killed_by = "test_sorted_sets"
    forgotten = b"CH"


class ForgetsExpiryCondition(Mutant):
    """Sets an expiry whatever its condition says."""

    killed_by = "test_expiry"

    def argv(self, argv: Argv) -> Argv:
        return without(argv, b"NX", b"XX", b"GT", b"LT") if argv[0] == b"PEXPIRE" else argv


class ForgetsMatch(Mutant):
    """Walks over everything where a pattern was given."""

    killed_by = "test_hashes"

    def argv(self, argv: Argv) -> Argv:
        if not argv[0].endswith(b"SCAN") or b"MATCH" not in argv:
            return argv
        at = argv.index(b"MATCH")
        return argv[:at] + argv[at + 2 :]


class ForgetsWeights(Mutant):
    """Adds up sorted sets as if every weight were 1."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"ZUNIONSTORE" or b"WEIGHTS" not in argv:
            return argv
        at = argv.index(b"WEIGHTS")
        return argv[:at] + argv[at + 1 + int(argv[2]) :]


class ForgetsAggregate(Mutant):
    """Adds scores up where the lowest or highest was asked for."""

    killed_by = "test_sorted_sets"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:-1], b"SUM") if argv[0] == b"ZUNIONSTORE" else argv
