"""Mutants that are wrong in a corner that only random batches come to."""

from __future__ import annotations

from mutants.mutant import Argvs, Mutant, Sending

_ADDING = {b"HSET", b"HSETNX", b"HINCRBY", b"SADD", b"ZADD", b"ZINCRBY", b"RPUSH", b"LPUSH", b"APPEND", b"INCRBY"}


class DropsExpiryWhenAppending(Mutant):
    """Takes a string's expiry away when something is appended to it."""

    killed_by = "test_model_based"

    def send(self, argvs: Argvs) -> Sending:
        raw = yield argvs
        appended = [(b"PERSIST", argv[1]) for argv in argvs if argv[0] == b"APPEND"]
        if appended:
            yield appended
        return raw  # type: ignore[no-any-return]


class KeepsExpiryOfEmptied(Mutant):
    """Gives a container that is made anew the expiry that it had before its last item was taken."""

    killed_by = "test_model_based"

    def __init__(self) -> None:
        self.known: dict[bytes, bytes] = {}

    def send(self, argvs: Argvs) -> Sending:
        raw: list[object] = []
        for argv in argvs:
            if argv[0] == b"PEXPIRE" and int(argv[2]) > 0:
                self.known[argv[1]] = argv[2]
            elif argv[0] in {b"DEL", b"PERSIST", b"SET", b"RENAME", b"RENAMENX"}:
                for key in argv[1:]:
                    self.known.pop(key, None)
            raw += yield [argv]
            if argv[0] in _ADDING and argv[1] in self.known:
                yield [(b"PEXPIRE", argv[1], self.known[argv[1]], b"NX")]
        return raw
