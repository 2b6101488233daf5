"""Contents on files: conformance, what 1.x left, many processes, kills at any moment, and paths that stay inside."""

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import pytest

import popoto
from popoto import ModelException, clock
from popoto.configuration import configuration
from popoto.exceptions import BadReference, DamagedContent
from popoto.stores import AbstractContentStore, FilesystemStore, files
from popoto.stores import filesystem as filesystem_module
from popoto_conformance import content_stores

HELLO = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
NOW = 1_700_000_000.0  # long before these tests run


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def tree(base: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*") if path.is_file()}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "contents"


@pytest.fixture
def files_store(base: Path) -> FilesystemStore:
    return FilesystemStore(base)


@pytest.fixture(autouse=True)
def fine_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores here tell moments to less than a millisecond, so the suite need not wait for seconds."""
    monkeypatch.setattr(content_stores, "RENEWAL_SECONDS", 0.2)
    monkeypatch.setattr(content_stores, "AGE_SECONDS", 0.2)


# The suite, and that it bites


class Shelf(AbstractContentStore):
    """A sound store of the four verbs only: it keeps everything, so nothing can be collected."""

    def __init__(self, kept: dict[str, bytes]) -> None:
        self.kept = kept

    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        reference = f"$CF:{digest(content)}:{model_class_name}"
        self.kept[reference] = content
        return reference

    def load(self, reference: str) -> bytes:
        self.check(reference)
        if reference not in self.kept:
            raise FileNotFoundError(reference)
        return self.kept[reference]

    def delete(self, reference: str) -> None:
        self.load(reference)
        del self.kept[reference]

    def exists(self, reference: str) -> bool:
        self.check(reference)
        return reference in self.kept

    def check(self, reference: str) -> None:
        start, _, name = reference.removeprefix("$CF:").partition(":")
        if len(start) != 64 or not name.isidentifier():
            raise BadReference(f"{reference!r} is no reference of this store")


@pytest.mark.parametrize("case", content_stores.CASES, ids=lambda case: case.__name__)
def test_the_store_on_files_conforms(case: content_stores.Case, base: Path) -> None:
    case(lambda: FilesystemStore(base))


def test_a_store_that_collects_nothing_conforms_too() -> None:
    kept: dict[str, bytes] = {}
    content_stores.prove(lambda: Shelf(kept))
    assert (Shelf(kept).collects, FilesystemStore().collects) == (False, True)
    with pytest.raises(ModelException, match=r"Shelf cannot list its contents"):
        Shelf(kept).references("Doc")
    with pytest.raises(ModelException, match=r"Shelf does not collect"):
        Shelf(kept).discard("$CF:", 0.0)


class Decoding(Shelf):
    def load(self, reference: str) -> bytes:
        return super().load(reference).decode("utf-8", "replace").replace("\r\n", "\n").encode()


class Embracing(Shelf):
    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        reference = f"$CF:{digest(content)}:{model_class_name}" + "0" * len(content[:2000])
        self.kept[reference] = content
        return reference


class Private(Shelf):
    def __init__(self, kept: dict[str, bytes]) -> None:
        super().__init__({})


class Overwriting(Shelf):
    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        reference = f"$CF:{digest(key.encode())}:{model_class_name}"
        self.kept[reference] = content
        return reference


class DeletingAll(Shelf):
    def delete(self, reference: str) -> None:
        self.load(reference)
        self.kept.clear()


class Silent(Shelf):
    def delete(self, reference: str) -> None:
        self.kept.pop(reference, None)


class Trusting(Shelf):
    def check(self, reference: str) -> None:
        pass


class Spelling(Shelf):
    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        if len(key.encode()) > 255:
            raise OSError("File name too long")
        return super().save(content, key, model_class_name)


class Once(Shelf):
    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        if f"$CF:{digest(content)}:{model_class_name}" in self.kept:
            raise FileExistsError(key)
        return super().save(content, key, model_class_name)


class Racing(Shelf):
    """Two writers at once may take the same place."""

    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        place = str(len(self.kept))
        time.sleep(0.0005)
        self.kept[place] = content
        return f"$CF:{digest(content)}:{model_class_name}"

    def load(self, reference: str) -> bytes:
        found = [content for content in self.kept.values() if reference.startswith(f"$CF:{digest(content)}:")]
        if not found:
            raise FileNotFoundError(reference)
        return found[0]


class Mixing(FilesystemStore):
    def references(self, model_class_name: str) -> Iterator[tuple[str, float]]:
        for folder in self.base_path.iterdir():
            yield from super().references(folder.name)


class Untouched(FilesystemStore):
    def touch(self, reference: str) -> None:
        self.load(reference)


class Ageing(FilesystemStore):
    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        known = {one: moment for one, moment in self.references(model_class_name) if f":{digest(content)}" in f":{one}"}
        reference = super().save(content, key, model_class_name)
        if reference in known:
            os.utime(self.base_path / reference.split(":", 2)[2], (known[reference],) * 2)
        return reference


class Careless(FilesystemStore):
    def discard(self, reference: str, before: float) -> bool:
        there = self.exists(reference)
        if there:
            self.delete(reference)
        return there


class Remembering(FilesystemStore):
    """Goes by the moments that it saw first."""

    seen: ClassVar[dict[str, float]] = {}

    def save(self, content: bytes, key: str, model_class_name: str) -> str:
        reference = super().save(content, key, model_class_name)
        self.seen.setdefault(reference, dict(self.references(model_class_name))[reference])
        return reference

    def discard(self, reference: str, before: float) -> bool:
        old = self.seen.get(reference, before) < before and self.exists(reference)
        if old:
            self.delete(reference)
        return old


BROKEN: list[tuple[type[Any], str]] = [
    (Decoding, "contents_come_back_byte_for_byte"),
    (Embracing, "references_are_short_texts_with_the_prefix"),
    (Private, "another_store_of_the_same_place_sees_it"),
    (Overwriting, "a_newer_content_of_a_key_leaves_the_older"),
    (DeletingAll, "deleting_takes_one_content_only"),
    (Silent, "what_is_not_kept_is_said_to_be_missing"),
    (Trusting, "what_is_no_reference_is_refused"),
    (Spelling, "any_key_will_do"),
    (Once, "equal_contents_share_or_part_without_harm"),
    (Racing, "many_writers_lose_nothing"),
    (Mixing, "contents_are_listed_by_model"),
    (Untouched, "touching_renews_the_moment"),
    (Ageing, "saving_again_renews_the_moment"),
    (Careless, "discarding_takes_what_is_old_and_nothing_else"),
    (Remembering, "what_is_renewed_in_time_is_not_discarded"),
]


@pytest.mark.parametrize(("broken", "killer"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_store_does_not_conform(broken: type[Any], killer: str, tmp_path: Path) -> None:
    kept: Any = {} if issubclass(broken, Shelf) else tmp_path
    (case,) = (case for case in content_stores.CASES if case.__name__ == killer)
    with pytest.raises(AssertionError, match=rf"does not conform\n{killer}: "):
        content_stores.prove(lambda: broken(kept), [case])


def test_every_case_has_a_store_that_it_catches() -> None:
    assert [killer for _, killer in BROKEN] == [case.__name__ for case in content_stores.CASES]


# What lies on the disk


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


def lay(base: Path, path: str, content: bytes) -> None:
    (base / path).parent.mkdir(parents=True, exist_ok=True)
    (base / path).write_bytes(content)


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


def test_leftovers_of_a_kill_are_no_contents(files_store: FilesystemStore, base: Path) -> None:
    lay(base, "Doc/.0123456789abcdef.tmp", b"hal")
    lay(base, f"Doc/b9/.{HELLO[:16]}.tmp", b"hello wo")
    lay(base, f"Doc/.discarded/x/{HELLO}.txt", b"hello world")
    lay(base, "Doc/.discarded/y/old.txt", b"of 1.x")
    assert list(files_store.references("Doc")) == []
    assert files_store.sweep("Doc", time.time() + 1) == 4
    assert tree(base) == {f"Doc/b9/{HELLO}.txt": b"hello world", "Doc/old.txt": b"of 1.x"}
    assert files_store.sweep("Other", time.time() + 1) == 0


def test_live_files_of_1x_are_listed_and_collected(
    files_store: FilesystemStore, old: tuple[str, str], base: Path
) -> None:
    new = files_store.save(b"new", "y", "Doc")
    assert {one for one, _ in files_store.references("Doc")} == {old[1], new}
    os.utime(base / "Doc" / "x.txt", (NOW, NOW))
    assert files_store.discard(old[1], NOW + 1) is True
    assert (base / "Doc" / "x.txt").exists() is False
    assert files_store.discard(old[0], NOW * 2) is False


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


# Collecting


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


def test_touching_an_older_version_of_1x_leaves_the_live_file(
    files_store: FilesystemStore, old: tuple[str, str], base: Path
) -> None:
    before = tree(base)
    files_store.touch(old[0])
    assert tree(base) == before


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


# Kills

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
