"""The suite for stores of contents: the store on files conforms, and a broken one does not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from contents import digest

from popoto import ModelException
from popoto.exceptions import BadReference
from popoto.stores import AbstractContentStore, FilesystemStore
from popoto_conformance import content_stores


@pytest.fixture(autouse=True)
def fine_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores here tell moments to less than a millisecond, so the suite need not wait for seconds."""
    monkeypatch.setattr(content_stores, "RENEWAL_SECONDS", 0.2)
    monkeypatch.setattr(content_stores, "AGE_SECONDS", 0.2)


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
