"""Mutants that run scripts wrongly."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

import fakeredis
import redis

from mutants.mutant import Argv, Executing, Mutant, Pause
from popoto.storage import Batch, Call, Command, Reply
from popoto.storage.errors import reply_error


class ForgetsScripts(Mutant):
    """Sends a script's source once, and only its digest for ever after, whatever the server has forgotten."""

    killed_by = "test_scripts"

    def __init__(self) -> None:
        self.known: set[bytes] = set()

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"EVAL":
            return argv
        sha = sha1(argv[1], usedforsecurity=False).hexdigest().encode()
        if sha in self.known:
            return (b"EVALSHA", sha, *argv[2:])
        self.known.add(sha)
        return argv


class TornScripts(Mutant):
    """Runs a script beside the store and writes its result back, while others write too."""

    killed_by = "test_concurrency"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = []
        for step in batch:
            replies += (yield from self._torn(step)) if isinstance(step, Call) else (yield [step])
        return replies

    def _torn(self, call: Call[Any]) -> Executing:
        dumps = yield [Command(b"DUMP", key, keys=(key,), shape=lambda raw: raw) for key in call.keys]
        scratch = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        for key, dump in zip(call.keys, dumps, strict=True):
            if isinstance(dump, bytes):
                scratch.restore(key, 0, dump, replace=True)
        try:
            reply = call.shape(scratch.eval(call.script.text, len(call.keys), *call.keys, *call.args))
        except redis.ResponseError as error:
            reply = reply_error(str(error), type(error).__name__)
        yield Pause()
        # The store knows the script as if it had run it.
        yield [
            Command(b"SCRIPT", b"LOAD", call.script.text, shape=bool, writes=True),
            *(self._written(key, scratch.dump(key)) for key in dict.fromkeys(call.keys) if call.writes),
        ]
        return [reply]

    def _written(self, key: bytes, dump: Any) -> Command[Any]:
        if dump is None:
            return Command(b"DEL", key, keys=(key,), shape=int, writes=True)
        return Command(b"RESTORE", key, 0, dump, b"REPLACE", keys=(key,), shape=bool, writes=True)


class RepairsScriptArguments(Mutant):
    """Replaces in a script's arguments what is not UTF-8."""

    killed_by = "test_scripts"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] not in {b"EVAL", b"EVALSHA"}:
            return argv
        first = 3 + int(argv[2])
        return (*argv[:first], *(part.decode("utf-8", "replace").encode() for part in argv[first:]))


class IgnoresScriptFlush(Mutant):
    """Answers that the script cache is empty, and keeps it."""

    killed_by = "test_scripts"

    def argv(self, argv: Argv) -> Argv:
        return (b"PING",) if argv[:2] == (b"SCRIPT", b"FLUSH") else argv


class RunsScriptsTwice(Mutant):
    """Runs every script twice."""

    killed_by = "test_scripts"

    def execute(self, batch: Batch) -> Executing:
        replies: list[Reply] = []
        for step in batch:
            replies += (yield [step, step])[1:] if isinstance(step, Call) else (yield [step])
        return replies


class ScriptsLast(Mutant):
    """Runs the scripts of a batch after its commands."""

    killed_by = "test_scripts"

    def execute(self, batch: Batch) -> Executing:
        order = sorted(range(len(batch)), key=lambda at: isinstance(batch[at], Call))
        replies: list[Reply] = yield [batch[at] for at in order]
        placed = dict(zip(order, replies, strict=True))
        return [placed[at] for at in range(len(batch))]


class ForgetsScriptArguments(Mutant):
    """Leaves a script's last argument out when there are several."""

    killed_by = "test_scripts"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] not in {b"EVAL", b"EVALSHA"} or len(argv) < 5 + int(argv[2]):
            return argv
        return argv[:-1]
