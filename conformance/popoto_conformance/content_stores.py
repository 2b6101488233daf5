"""Proves a content store: every promise of `popoto.stores.AbstractContentStore` as a case that can fail.

    from popoto_conformance import content_stores

    content_stores.prove(lambda: AcmeStore("https://blobs.example.org"))

A case works under a model name that no other has, so the store need not be empty, and leaves a few contents behind.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from threading import Barrier
from typing import Final

from popoto.exceptions import ModelException
from popoto.stores import AbstractContentStore

Factory = Callable[[], AbstractContentStore]
Case = Callable[[Factory], None]

CASES: Final[list[Case]] = []
DAY_SECONDS: Final = 86400.0
# Stores that keep whole seconds are given time to show a renewed moment.
RENEWAL_SECONDS = 2.5
# How old contents become before what is renewed must be told from what is not, with moments in whole seconds too.
AGE_SECONDS = 2.0


def prove(factory: Factory, cases: Iterable[Case] = CASES) -> None:
    """Run the cases against a store.

    Args:
        factory: makes a store. Two stores that it makes keep their contents in the same place, as two processes do.
        cases: which ones; pytest can run each by itself, as in
            `@pytest.mark.parametrize("case", content_stores.CASES)`.

    Raises:
        AssertionError: the store does not conform; every case that failed is named, with its reason.
    """
    faults = {case.__name__: fault for case in cases if (fault := _fault(case, factory)) is not None}
    if faults:
        lines = [f"{name}: {fault}" for name, fault in faults.items()]
        raise AssertionError("\n".join(["this content store does not conform", *lines]))


def _fault(case: Case, factory: Factory) -> str | None:
    try:
        case(factory)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _case(case: Case) -> Case:
    CASES.append(case)
    return case


def _expect(holds: bool, promise: str) -> None:
    if not holds:
        raise AssertionError(promise)


def _raises(kinds: type[Exception] | tuple[type[Exception], ...], call: Callable[[], object], promise: str) -> None:
    try:
        answer = call()
    except kinds:
        return
    except Exception as error:
        raise AssertionError(f"{promise}, but it raised {type(error).__name__}: {error}") from error
    raise AssertionError(f"{promise}, but it answered {answer!r}"[:300])


def _model() -> str:
    return f"Conformance{secrets.token_hex(6)}"


def _listed(store: AbstractContentStore, model: str) -> dict[str, float]:
    return dict(store.references(model))


def _renewed(store: AbstractContentStore, model: str, reference: str, renew: Callable[[], object]) -> bool:
    """Whether renewing again and again makes the moment a later one."""
    before = _listed(store, model)[reference]
    until = time.monotonic() + RENEWAL_SECONDS
    while time.monotonic() < until:
        renew()
        if _listed(store, model)[reference] > before:
            return True
        time.sleep(0.02)
    return False


@_case
def contents_come_back_byte_for_byte(factory: Factory) -> None:
    """Any bytes are kept: none, all 256, line ends, a text that looks like a reference, a mebibyte."""
    store, model = factory(), _model()
    odd = b"$CF:" + sha256(b"x").hexdigest().encode() + b":a/b.txt"
    for content in (b"", bytes(range(256)), b"a\r\nb\nc\r", "é€𝄞".encode(), odd, secrets.token_bytes(2**20)):
        loaded = store.load(store.save(content, "key", model))
        _expect(type(loaded) is bytes and loaded == content, f"{content[:40]!r} comes back as it was saved")


@_case
def references_are_short_texts_with_the_prefix(factory: Factory) -> None:
    """A reference is stored in the row instead of the content."""
    reference = factory().save(b"x" * 10_000, "k" * 300, _model())
    _expect(type(reference) is str and reference.startswith("$CF:"), "a reference is a text that begins with $CF:")
    _expect(len(reference) <= 1000, "a reference has at most 1000 letters, however long content and key are")


@_case
def another_store_of_the_same_place_sees_it(factory: Factory) -> None:
    """What one process saves, another loads."""
    reference = factory().save(b"shared", "key", _model())
    _expect(factory().exists(reference), "another store of the same place knows the content")
    _expect(factory().load(reference) == b"shared", "another store of the same place loads the content")


@_case
def a_newer_content_of_a_key_leaves_the_older(factory: Factory) -> None:
    """A content never changes: a row that still refers to the older one reads the older one."""
    store, model = factory(), _model()
    older, newer = store.save(b"older", "key", model), store.save(b"newer", "key", model)
    _expect(older != newer, "another content has another reference")
    _expect((store.load(older), store.load(newer)) == (b"older", b"newer"), "the older content stays readable")


@_case
def deleting_takes_one_content_only(factory: Factory) -> None:
    """Deleting what a key once held leaves what it holds now, and the contents of other keys."""
    store, model = factory(), _model()
    older, newer = store.save(b"older", "key", model), store.save(b"newer", "key", model)
    other = store.save(b"other", "other", model)
    store.delete(older)
    _expect(not store.exists(older), "a deleted content does not exist")
    _raises(FileNotFoundError, lambda: store.load(older), "loading a deleted content raises FileNotFoundError")
    _expect((store.load(newer), store.load(other)) == (b"newer", b"other"), "the other contents stay")
    _expect(store.load(store.save(b"older", "key", model)) == b"older", "what was deleted can be saved again")


@_case
def what_is_not_kept_is_said_to_be_missing(factory: Factory) -> None:
    """A reference to nothing."""
    store = factory()
    missing = store.save(secrets.token_bytes(8), "key", _model())
    store.delete(missing)
    _expect(store.exists(missing) is False, "exists() of a missing content is False")
    _raises(FileNotFoundError, lambda: store.load(missing), "load() of a missing content raises FileNotFoundError")
    _raises(FileNotFoundError, lambda: store.delete(missing), "delete() of a missing one raises FileNotFoundError")
    if store.collects:
        _raises(FileNotFoundError, lambda: store.touch(missing), "touch() of a missing one raises FileNotFoundError")
        _expect(store.discard(missing, time.time() + DAY_SECONDS) is False, "discard() of a missing one is False")


@_case
def what_is_no_reference_is_refused(factory: Factory) -> None:
    """Texts of users may look like references; none may reach anything but a content."""
    store, model = factory(), _model()
    digest = sha256(b"kept").hexdigest()
    good = store.save(b"kept", "key", model)
    hostile = ["", "text", "$CF:", "$CF:x:../victim", f"$CF:{digest}:../{model}", f"$CF:{digest}:/etc/passwd"]
    hostile += [f"$CF:{digest}:{model}/../../victim", f"$CF:{digest}:a\0b", good + "\0", good + "/../x"]
    for text in hostile:
        for verb in (store.load, store.delete, store.exists):
            _raises((ModelException, ValueError), partial(verb, text), f"{verb.__name__}({text!r}) is refused")
    _expect(store.load(good) == b"kept", "a refused reference does no harm")


@_case
def any_key_will_do(factory: Factory) -> None:
    """Keys are texts of users: with separators, signs of other alphabets, and long."""
    store, model = factory(), _model()
    for key in ("", ".", "..", "../victim", "a/b\\c", "k:1/2 é", "nul\0", "x" * 300, "名" * 300, "/etc/passwd"):
        content = f"content of {key!r}".encode()
        _expect(store.load(store.save(content, key, model)) == content, f"a content is kept for the key {key[:20]!r}")


@_case
def equal_contents_share_or_part_without_harm(factory: Factory) -> None:
    """Saving what is kept already succeeds, under the same key and under another."""
    store, model = factory(), _model()
    references = [store.save(b"same", key, model) for key in ("one", "one", "two")]
    _expect(references[0] == references[1], "the same content of the same key has the same reference")
    _expect([store.load(one) for one in references] == [b"same"] * 3, "each reference gives the content")


@_case
def many_writers_lose_nothing(factory: Factory) -> None:
    """Eight threads save to one key, some of it the same: each reference gives its own content."""
    model = _model()

    def work(writer: int) -> list[tuple[str, bytes]]:
        store = factory()
        contents = [f"turn {turn} of {writer if turn % 2 else 'all'}".encode() * 50 for turn in range(20)]
        return [(store.save(content, "key", model), content) for content in contents]

    with ThreadPoolExecutor(8) as pool:
        saved = [pair for pairs in pool.map(work, range(8)) for pair in pairs]
    store = factory()
    wrong = [reference for reference, content in saved if store.load(reference) != content]
    _expect(wrong == [], f"every reference gives its content, but {len(wrong)} of {len(saved)} do not")


@_case
def contents_are_listed_by_model(factory: Factory) -> None:
    """What a collector goes by: every reference of a model once, no other's, and a moment near now."""
    store, model, other = factory(), _model(), _model()
    if not store.collects:
        _raises(ModelException, lambda: list(store.references(model)), "references() of a store that keeps all refuses")
        return
    saved = {store.save(f"{number}".encode(), f"key {number}", model) for number in range(12)}
    store.save(b"0", "key 0", other)
    listed = list(factory().references(model))
    _expect(len(listed) == len(saved) and {one for one, _ in listed} == saved, "references() lists each content once")
    _expect(all(abs(moment - time.time()) < DAY_SECONDS for _, moment in listed), "moments are Unix seconds")
    store.delete(min(saved))
    _expect(_listed(store, model).keys() == saved - {min(saved)}, "a deleted content is listed no longer")
    _expect(_listed(store, _model()) == {}, "a model without contents lists none")


@_case
def touching_renews_the_moment(factory: Factory) -> None:
    """A row that is about to refer to an old content keeps the collector off it."""
    store, model = factory(), _model()
    reference = store.save(b"touched", "key", model)
    if store.collects:
        _expect(_renewed(store, model, reference, lambda: store.touch(reference)), "touch() renews the moment")
    _expect(store.load(reference) == b"touched", "touch() leaves the content as it is")


@_case
def saving_again_renews_the_moment(factory: Factory) -> None:
    """An old content that a new row has too is not an old one any more."""
    store, model = factory(), _model()
    reference = store.save(b"again", "key", model)
    if store.collects:
        again = _renewed(store, model, reference, lambda: store.save(b"again", "key", model))
        _expect(again, "saving what is kept renews its moment")


@_case
def discarding_takes_what_is_old_and_nothing_else(factory: Factory) -> None:
    """The collector's step: the store itself compares the moment."""
    store, model = factory(), _model()
    reference, other = store.save(b"old", "key", model), store.save(b"other", "other", model)
    if not store.collects:
        return
    moment = _listed(store, model)[reference]
    _expect(store.discard(reference, moment) is False, "discard() keeps what is as old as `before`")
    _expect(store.load(reference) == b"old", "what discard() did not take is there")
    _expect(store.discard(reference, moment + DAY_SECONDS) is True, "discard() takes what is older than `before`")
    _expect(not store.exists(reference) and store.load(other) == b"other", "discard() takes this content only")


@_case
def what_is_renewed_in_time_is_not_discarded(factory: Factory) -> None:
    """A collector takes what is old while rows are saved that have it too: whoever is told that it is kept, has it."""
    store, model = factory(), _model()
    if not store.collects:
        return
    contents = [f"contested {number}".encode() for number in range(40)]
    references = [store.save(content, "key", model) for content in contents]
    old = time.time() + AGE_SECONDS / 4
    time.sleep(AGE_SECONDS)
    kept: list[str] = []

    def collect(start: int) -> None:
        mine = factory()
        together.wait(60)
        for reference in references[start:] + references[:start]:
            mine.discard(reference, old)

    def write() -> None:
        mine = factory()
        together.wait(60)
        kept.extend([mine.save(content, "key", model) for content in contents])

    def touch() -> None:
        mine = factory()
        together.wait(60)
        for reference in reversed(references):
            try:
                mine.touch(reference)
            except FileNotFoundError:
                continue  # it was discarded first, and the caller knows
            kept.append(reference)

    work: list[Callable[[], None]] = [write, touch, *(partial(collect, start) for start in range(0, len(contents), 8))]
    together = Barrier(len(work))
    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()
    for reference in references:
        store.discard(reference, old)
    lost = {reference for reference in kept if not store.exists(reference)}
    _expect(lost == set(), f"what was saved or touched in time stays, but {len(lost)} of {len(contents)} are gone")
