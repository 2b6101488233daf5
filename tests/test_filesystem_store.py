"""Contents on files: what lies on the disk, what 1.x left there, damage, and paths that stay inside."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contents import HELLO, NOW, digest, lay, tree

import popoto
from popoto import ModelException
from popoto.configuration import configuration
from popoto.exceptions import BadReference, DamagedContent
from popoto.stores import FilesystemStore, files


def test_a_content_is_a_file_named_after_it(files_store: FilesystemStore, base: Path) -> None:
    reference = files_store.save(b"hello world", "x", "Doc")
    assert tree(base) == {f"Doc/b9/{HELLO}.txt": b"hello world"}
    assert reference == f"$CF:{HELLO}:Doc/b9/{HELLO}.txt"


def test_saving_twice_leaves_one_file_and_another_content_another(files_store: FilesystemStore, base: Path) -> None:
    first = files_store.save(b"hello world", "x", "Doc")
    inode = (base / "Doc" / "b9" / f"{HELLO}.txt").stat().st_ino
    again = files_store.save(b"hello world", "another key " * 30, "Doc")
    assert (first == again, len(tree(base))) == (True, 1)
    assert (base / "Doc" / "b9" / f"{HELLO}.txt").stat().st_ino == inode
    files_store.save(b"hello v2", "x", "Doc")
    assert sorted(tree(base).values()) == [b"hello v2", b"hello world"]


def test_only_bytes_and_names_of_classes_are_taken(files_store: FilesystemStore, base: Path) -> None:
    text: Any = "text"
    with pytest.raises(ModelException, match="a content is bytes, not str"):
        files_store.save(text, "x", "Doc")
    for name in ("", "..", ".hidden", "a/b", "a\\b", "a:b", "nul\0", "C" * 201, "Doc\n"):
        with pytest.raises(ModelException, match="cannot name a folder"):
            files_store.save(b"x", "x", name)
    with pytest.raises(ModelException, match=r"extension='/\.\./x'"):
        FilesystemStore(base, extension="/../x")
    assert tree(base) == {}


def test_another_extension_names_other_files(base: Path) -> None:
    reference = FilesystemStore(base, extension=".md").save(b"hello world", "x", "Données")
    assert list(tree(base)) == [f"Données/b9/{HELLO}.md"]
    assert FilesystemStore(base).load(reference) == b"hello world"
    assert [one for one, _ in FilesystemStore(base).references("Données")] == [reference]


def test_the_folder_is_looked_up_at_each_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FilesystemStore()
    monkeypatch.setattr(configuration, "content_path", None)
    monkeypatch.setenv("POPOTO_CONTENT_PATH", str(tmp_path / "env"))
    store.save(b"one", "x", "Doc")
    popoto.configure(content_path=tmp_path / "set")
    store.save(b"two", "x", "Doc")
    assert (list(tree(tmp_path / "env").values()), list(tree(tmp_path / "set").values())) == ([b"one"], [b"two"])
    monkeypatch.setattr(configuration, "content_path", None)
    monkeypatch.delenv("POPOTO_CONTENT_PATH")
    assert store.base_path == Path("~/.popoto/content").expanduser()
    assert repr(FilesystemStore("/srv/texts")) == "FilesystemStore('/srv/texts', extension='.txt')"


# Contents of 1.x


@pytest.fixture
def old(base: Path) -> tuple[str, str]:
    """What 1.x left after `hello world`, then `hello v2`: references to both."""
    lay(base, "Doc/x.txt", b"hello v2")
    lay(base, f".versions/b9/{HELLO}.txt", b"hello world")
    return f"$CF:{HELLO}:Doc/x.txt", f"$CF:{digest(b'hello v2')}:Doc/x.txt"


def test_references_of_1x_give_the_live_file_or_the_version(files_store: FilesystemStore, old: tuple[str, str]) -> None:
    assert [files_store.load(one) for one in old] == [b"hello world", b"hello v2"]
    assert [files_store.exists(one) for one in old] == [True, True]
    lost = f"$CF:{digest(b'lost')}:Doc/x.txt"
    assert files_store.exists(lost) is False
    with pytest.raises(FileNotFoundError, match="no content"):
        files_store.load(lost)


def test_deleting_an_old_reference_leaves_the_live_file(
    files_store: FilesystemStore, old: tuple[str, str], base: Path
) -> None:
    files_store.delete(old[0])
    assert tree(base) == {"Doc/x.txt": b"hello v2"}
    with pytest.raises(FileNotFoundError):
        files_store.delete(old[0])
    files_store.delete(old[1])
    assert tree(base) == {}


def test_an_odd_key_of_1x_and_another_extension_are_found(base: Path) -> None:
    lay(base, "Mo/k_1_2_é.md", b"odd")
    lay(base, f".versions/{digest(b'older')[:2]}/{digest(b'older')}.md", b"older")
    store = FilesystemStore(base)
    assert store.load(f"$CF:{digest(b'odd')}:Mo/k_1_2_é.md") == b"odd"
    assert store.load(f"$CF:{digest(b'older')}:Mo/k_1_2_é.md") == b"older"


def test_live_files_of_1x_are_listed_and_collected(
    files_store: FilesystemStore, old: tuple[str, str], base: Path
) -> None:
    new = files_store.save(b"new", "y", "Doc")
    assert {one for one, _ in files_store.references("Doc")} == {old[1], new}
    os.utime(base / "Doc" / "x.txt", (NOW, NOW))
    assert files_store.discard(old[1], NOW + 1) is True
    assert (base / "Doc" / "x.txt").exists() is False
    assert files_store.discard(old[0], NOW * 2) is False


def test_touching_an_older_version_of_1x_leaves_the_live_file(
    files_store: FilesystemStore, old: tuple[str, str], base: Path
) -> None:
    before = tree(base)
    files_store.touch(old[0])
    assert tree(base) == before


# Damage


def test_a_damaged_file_is_an_error_and_never_wrong_bytes(files_store: FilesystemStore, base: Path) -> None:
    reference = files_store.save(b"hello world", "x", "Doc")
    lay(base, f"Doc/b9/{HELLO}.txt", b"hello wor")
    with pytest.raises(DamagedContent, match="is damaged: the SHA-256 of"):
        files_store.load(reference)
    assert files_store.save(b"hello world", "x", "Doc") == reference
    assert files_store.load(reference) == b"hello world"


def test_what_cannot_be_written_leaves_nothing(
    files_store: FilesystemStore, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        files_store.save(b"hello world", "x", "Doc")
    assert tree(base) == {}


def test_a_folder_that_cannot_be_synced_is_written_all_the_same(
    files_store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, "fsync")

    monkeypatch.setattr(files.os, "fsync", unsupported)
    code = errno.EINVAL
    files_store.save(b"one", "x", "Doc")
    code = errno.EIO
    with pytest.raises(OSError, match="fsync"):
        files_store.save(b"two", "x", "Doc")


# Paths that stay inside


HOSTILE = [
    "",
    "no reference",
    "$CF:x:../victim",
    f"$CF:{HELLO}:",
    f"$CF:{HELLO}:victim.txt",
    f"$CF:{HELLO}:../victim.txt",
    f"$CF:{HELLO}:Doc/../../victim.txt",
    f"$CF:{HELLO}:./victim.txt",
    f"$CF:{HELLO}:Doc//victim.txt",
    f"$CF:{HELLO}:/etc/passwd",
    f"$CF:{HELLO}:C:/victim.txt",
    f"$CF:{HELLO}:..\\victim.txt",
    f"$CF:{HELLO}:Doc/nul\0.txt",
    f"$CF:{HELLO}:Doc/\ud800.txt",
    f"$CF:{HELLO}:Doc/{'x' * 300}.txt",
    f"$CF:{HELLO}:" + "/".join(["x"] * 500),
    f"$CF:{HELLO.upper()}:Doc/x.txt",
    f"$CF:{HELLO}:link/victim.txt",
    f"$CF:{HELLO}:Doc/link.txt",
]


@pytest.mark.parametrize("reference", HOSTILE, ids=range(len(HOSTILE)))
def test_no_reference_leads_out_of_the_folder(reference: str, files_store: FilesystemStore, base: Path) -> None:
    victim = base.parent / "victim.txt"
    victim.write_bytes(b"hello world")
    (base / "Doc").mkdir(parents=True)
    (base / "link").symlink_to(base.parent)
    (base / "Doc" / "link.txt").symlink_to(victim)
    verbs: list[Callable[[str], Any]] = [files_store.load, files_store.delete, files_store.exists, files_store.touch]
    for verb in [*verbs, lambda text: files_store.discard(text, NOW * 2)]:
        with pytest.raises(BadReference) as caught:
            verb(reference)
        assert isinstance(caught.value, ModelException) and isinstance(caught.value, ValueError)
    assert (victim.read_bytes(), len(str(caught.value)) < 300) == (b"hello world", True)


def test_a_folder_that_is_a_link_to_the_outside_is_not_written_to(files_store: FilesystemStore, base: Path) -> None:
    outside = base.parent / "outside"
    outside.mkdir()
    base.mkdir()
    (base / "Doc").symlink_to(outside)
    with pytest.raises(BadReference, match="symbolic link"):
        files_store.save(b"hello world", "x", "Doc")
    with pytest.raises(BadReference, match="symbolic link"):
        list(files_store.references("Doc"))
    assert tree(outside) == {}


def test_the_base_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    store = FilesystemStore(tmp_path / "link")
    assert store.load(store.save(b"hello world", "x", "Doc")) == b"hello world"
