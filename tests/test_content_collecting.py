"""Contents on files are collected by their moments, and what is renewed meanwhile stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contents import HELLO, NOW, tree

from popoto import clock
from popoto.stores import FilesystemStore, files
from popoto.stores import filesystem as filesystem_module


def test_moments_are_those_of_the_clock(files_store: FilesystemStore) -> None:
    with clock.frozen(lambda: NOW):
        reference = files_store.save(b"one", "x", "Doc")
    assert list(files_store.references("Doc")) == [(reference, NOW)]
    with clock.frozen(lambda: NOW + 10):
        files_store.touch(reference)
    assert list(files_store.references("Doc")) == [(reference, NOW + 10)]
    with clock.frozen(lambda: NOW + 20):
        files_store.save(b"one", "x", "Doc")
    assert list(files_store.references("Doc")) == [(reference, NOW + 20)]
    assert (files_store.discard(reference, NOW + 20), files_store.discard(reference, NOW + 20.5)) == (False, True)


def test_what_another_user_wrote_is_renewed_by_writing_it_anew(
    files_store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    utime = os.utime

    def of_the_owner(path: Path, times: tuple[float, float]) -> None:
        if not path.name.endswith(".tmp"):
            raise PermissionError(f"{path} is another user's")
        utime(path, times)

    monkeypatch.setattr(files.os, "utime", of_the_owner)
    renewals: list[Callable[[], Any]] = [
        lambda: files_store.save(b"one", "x", "Doc"),
        lambda: files_store.touch(reference),
    ]
    with clock.frozen(lambda: NOW):
        reference = files_store.save(b"one", "x", "Doc")
    for later, renew in enumerate(renewals, 1):
        with clock.frozen(lambda at=NOW + later: at):
            renew()
        assert list(files_store.references("Doc")) == [(reference, NOW + later)]


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Let something happen right before a discard takes the file out of its place, or right after."""

    def arrange(before: Callable[[], Any] | None = None, after: Callable[[], Any] | None = None) -> None:
        rename = os.rename

        def interrupting(source: Path, target: Path) -> None:
            monkeypatch.setattr(filesystem_module.os, "rename", rename)
            if before:
                before()
            rename(source, target)
            if after:
                after()

        monkeypatch.setattr(filesystem_module.os, "rename", interrupting)

    return arrange


def test_what_is_renewed_while_it_is_discarded_stays(
    files_store: FilesystemStore, base: Path, interrupted: Callable[..., None]
) -> None:
    renewals: list[Callable[[], Any]] = [
        lambda: files_store.save(b"one", "y", "Doc"),
        lambda: files_store.touch(reference),
    ]
    for renew in renewals:
        for moment in ("before", "after"):
            with clock.frozen(lambda: NOW):
                reference = files_store.save(b"one", "x", "Doc")
            interrupted(**{moment: renew})
            files_store.discard(reference, NOW + 1)
            assert files_store.load(reference) == b"one"
            assert [found for found, at in files_store.references("Doc") if at > NOW] == [reference]
            assert list(tree(base).values()) == [b"one"]
            files_store.delete(reference)


def test_a_reader_finds_what_is_being_discarded_and_put_back(
    files_store: FilesystemStore, interrupted: Callable[..., None]
) -> None:
    with clock.frozen(lambda: NOW):
        reference = files_store.save(b"one", "x[1]*", "Doc")
    read: list[Any] = []
    interrupted(
        before=lambda: files_store.touch(reference),
        after=lambda: read.append((files_store.load(reference), files_store.exists(reference))),
    )
    assert files_store.discard(reference, NOW + 1) is False
    assert (read, files_store.load(reference)) == ([(b"one", True)], b"one")


def test_a_reader_looks_again_where_a_content_was_put_back(
    files_store: FilesystemStore, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = files_store.save(b"hello world", "x", "Doc")
    home, aside = base / "Doc" / "b9" / f"{HELLO}.txt", base / "aside"
    home.rename(aside)
    read = files.read

    def reading(path: Path) -> bytes | None:
        content = read(path)
        if aside.exists():
            aside.rename(home)
        return content

    monkeypatch.setattr(filesystem_module.files, "read", reading)
    assert files_store.load(reference) == b"hello world"


def test_what_is_put_back_is_no_older_than_what_was_written_meanwhile(
    files_store: FilesystemStore, interrupted: Callable[..., None]
) -> None:
    at = NOW
    with clock.frozen(lambda: at):
        reference = files_store.save(b"one", "x", "Doc")

        def renewed_at(moment: float) -> None:
            nonlocal at
            at = moment
            files_store.save(b"one", "x", "Doc")

        interrupted(before=lambda: renewed_at(NOW + 5), after=lambda: renewed_at(NOW + 100))
        assert files_store.discard(reference, NOW + 1) is False
    assert list(files_store.references("Doc")) == [(reference, NOW + 100)]


def test_a_save_whose_file_is_taken_away_as_it_is_renewed_writes_it_anew(
    files_store: FilesystemStore, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = files_store.save(b"hello world", "x", "Doc")
    utime, home = os.utime, base / "Doc" / "b9" / f"{HELLO}.txt"

    def then_gone(path: Path, times: tuple[float, float]) -> None:
        utime(path, times)
        if path == home:
            home.unlink()

    monkeypatch.setattr(files.os, "utime", then_gone)
    assert files_store.save(b"hello world", "x", "Doc") == reference
    assert tree(base) == {f"Doc/b9/{HELLO}.txt": b"hello world"}


def test_two_collectors_take_a_content_once(files_store: FilesystemStore, interrupted: Callable[..., None]) -> None:
    with clock.frozen(lambda: NOW):
        reference = files_store.save(b"one", "x", "Doc")
    other: list[bool] = []
    interrupted(before=lambda: other.append(files_store.discard(reference, NOW + 1)))
    assert (files_store.discard(reference, NOW + 1), other) == (False, [True])
