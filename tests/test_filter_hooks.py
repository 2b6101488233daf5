"""Fields of one's own answer filters: the hook names rows, and the row decides."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hooked import WORDS, Page, WordsField, page

import popoto
from popoto import Field, KeyField, Model, Q, QueryException, round_trips
from popoto.storage import ask
from popoto.storage.commands.sorted_sets import zmembers


class SyncWordsField(WordsField):
    """The same, asking with the client as fields of 1.x do."""

    @classmethod
    def filter_query(cls, model, field_name, **params):  # type: ignore[override]
        found = popoto.connection().run(ask(zmembers(f"$SyncWordsF:{model.__name__}:{field_name}", 0, -1)))
        return set(found)


class SyncPage(Model):
    name = KeyField()
    text = SyncWordsField()


def test_filters_ask_the_hook_and_the_row_decides(store: Any, plain: Any):
    for number in range(4):
        page(str(number), " ".join("x" * number) or None, state="even" if number % 2 == 0 else "odd")

    def found(*conditions: Any, **keywords: Any) -> list[str]:
        return sorted(row.name for row in Page.query.filter(*conditions, **keywords))

    assert found(text__words_gte=2) == ["2", "3"]
    with round_trips() as trips:
        assert found(text__words_gte=1, state="odd") == ["1", "3"]
    assert trips == 2
    assert found(Q(text__words_gte=3) | Q(state="even")) == ["0", "2", "3"]
    assert found(~Q(text__words_gte=2)) == ["0", "1"]
    assert found(text__words_gte=9) == []
    assert found(text="x x") == ["2"]
    assert found(text__in=["x", "x x x"], text__words_gte=2) == ["3"]
    assert Page.query.count(text__words_gte=1) == 3
    assert [row.name for row in Page.query.filter(text__words_gte=1, order_by="-name", limit=2)] == ["3", "2"]
    # What the hook names and is not there is no row.
    plain.zadd(WORDS, {"Page:ghost": 9})
    assert (found(text__words_gte=3), Page.query.count(text__words_gte=3)) == (["3"], 1)
    row = Page.query.get(text__words_gte=3)
    assert row is not None
    assert "filter_query" in str(Page.query.filter(text__words_gte=3).explain())


def test_filters_under_asyncio_ask_it_too(store: Any):
    page("a", "one two")

    async def work() -> Any:
        with round_trips() as trips:
            rows = await Page.query.filter(text__words_gte=2)
        assert trips == 2
        return [row.name for row in rows]

    assert asyncio.run(work()) == ["a"]


def test_a_plain_function_answers_filters_as_in_1x(store: Any):
    SyncPage.create(name="a", text="x")
    SyncPage.create(name="b", text="y")
    assert SyncPage.query.get(text="y").name == "b"  # type: ignore[union-attr]
    assert [row.name for row in asyncio.run(SyncPage.query.async_filter(text__words_gte=1, order_by="name"))] == [
        "a",
        "b",
    ]


def test_more_keys_than_a_script_takes_are_compared_after_loading(store: Any, plain: Any):
    page("a", "one")
    plain.zadd(WORDS, {f"Page:ghost{number}": 1 for number in range(1500)})
    assert [row.name for row in Page.query.filter(text__words_gte=1)] == ["a"]


def test_keys_of_another_model_are_a_fault_of_the_hook(store: Any, plain: Any):
    page("a", "one")
    plain.zadd(WORDS, {"Other:a": 3})
    with pytest.raises(QueryException, match=r"WordsField.filter_query gave 'Other:a', which is no key of the model"):
        list(Page.query.filter(text__words_gte=2))


def test_a_hook_that_gives_none_must_leave_it_to_a_lookup(fake: Any):
    class Silent(Field):
        def get_filter_query_params(self, field_name):
            return {f"{field_name}__odd"}

        @classmethod
        def filter_query(cls, model, field_name, **params):
            return None

    class Mute(Model):
        name = KeyField()
        value = Silent()

    with pytest.raises(QueryException, match="gave None for value__odd, no lookup"):
        list(Mute.query.filter(value__odd=True))
    with pytest.raises(QueryException, match="did you mean value__odd"):
        Mute.query.filter(value__od=True)
