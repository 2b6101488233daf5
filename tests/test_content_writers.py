"""Writers of contents on files, killed at any moment and many at once, leave nothing torn and lose nothing."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from contents import HELLO, digest, lay, tree

from popoto.stores import FilesystemStore


def test_leftovers_of_a_kill_are_no_contents(files_store: FilesystemStore, base: Path) -> None:
    lay(base, "Doc/.0123456789abcdef.tmp", b"hal")
    lay(base, f"Doc/b9/.{HELLO[:16]}.tmp", b"hello wo")
    lay(base, f"Doc/.discarded/x/{HELLO}.txt", b"hello world")
    lay(base, "Doc/.discarded/y/old.txt", b"of 1.x")
    assert list(files_store.references("Doc")) == []
    assert files_store.sweep("Doc", time.time() + 1) == 4
    assert tree(base) == {f"Doc/b9/{HELLO}.txt": b"hello world", "Doc/old.txt": b"of 1.x"}
    assert files_store.sweep("Other", time.time() + 1) == 0


WRITER = """
import os, resource, signal, stat, sys
from popoto.stores import FilesystemStore

def die(*words):
    if at != "fsync" or stat.S_ISREG(os.fstat(words[0]).st_mode):
        os.kill(os.getpid(), signal.SIGKILL)

at, base = sys.argv[1:]
store = FilesystemStore(base)
kept = store.save(b"kept", "x", "Doc")
if at == "write":  # the kernel ends the process in the middle of the bytes
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
else:
    setattr(os, at, die)
if at in ("rename", "unlink"):
    store.discard(kept, 1e12)
else:
    store.save(b"x" * 100_000, "x", "Doc")
"""


@pytest.mark.parametrize("at", ["write", "fsync", "utime", "replace", "rename", "unlink"])
def test_a_killed_writer_leaves_nothing_torn_and_nothing_lost(at: str, base: Path) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, at, str(base)], capture_output=True, text=True, check=False)
    assert (done.returncode < 0, done.stderr) == (True, "")
    store = FilesystemStore(base)
    kept = f"$CF:{digest(b'kept')}:Doc/{digest(b'kept')[:2]}/{digest(b'kept')}.txt"
    assert store.load(kept) == b"kept"
    # Whatever has the name of a content holds it; the rest is named as a leftover.
    named = {path: content for path, content in tree(base).items() if not Path(path).name.startswith(".")}
    assert all(Path(path).name == f"{digest(content)}.txt" for path, content in named.items())
    assert {one for one, _ in store.references("Doc")} <= {kept}
    assert [store.sweep("Doc", before=moment) for moment in (0.0, 1e12, 1e12)] == [0, 1, 0]
    assert (list(tree(base).values()), [one for one, _ in store.references("Doc")]) == ([b"kept"], [kept])


def save_many(base: str, number: int, barrier: Any, replies: Any) -> None:
    store = FilesystemStore(base)
    barrier.wait(60)
    saved = []
    for turn in range(40):
        content = f"turn {turn} of {number if turn % 2 else 'all'} ".encode() * 500
        saved.append((store.save(content, "the same key", "Doc"), digest(content)))
    replies.put(saved)


def test_eight_processes_lose_nothing(base: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, replies = context.Barrier(8), context.Queue()
    workers = [context.Process(target=save_many, args=(str(base), number, barrier, replies)) for number in range(8)]
    for worker in workers:
        worker.start()
    saved = [pair for _ in workers for pair in replies.get(timeout=100)]
    for worker in workers:
        worker.join(30)
    store = FilesystemStore(base)
    assert (len(saved), [one for one, wanted in saved if digest(store.load(one)) != wanted]) == (320, [])
    # 20 that all of them saved are one file each.
    assert len(tree(base)) == len(dict(store.references("Doc"))) == 20 + 8 * 20
