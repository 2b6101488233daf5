"""A page of rows: every row once, each tested by its own bytes, and read whenever one likes."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from popoto import Field, IndexedField, KeyField, ListField, Model, SortedField, round_trips
from popoto.fields.lookups import Lookup
from popoto.fields.sources import Match
from popoto.queries.fetch import SELECT


class Parity(IndexedField):
    """Ints of one parity, found by a lookup that notes what it is asked."""

    asked: list[Any]

    def make_lookups(self) -> dict[str, Lookup]:
        self.asked = []

        def odd(field: Any, operand: Any) -> Match:
            return Match(lambda value: self.asked.append(value) or bool(value % 2) == operand)  # type: ignore[func-returns-value]

        return {**super().make_lookups(), "odd": odd}


class OwnParity(Parity):
    """The same, of a value that is looked at in a way of its own."""

    def compared(self, instance: Any) -> Any:
        return super().compared(instance) + instance.shift


class Card(Model):
    number = KeyField(type=int)
    suit = Parity(type=int)
    rank = OwnParity(type=int)
    shift = Field(type=int, default=0)
    points = SortedField(type=int, default=0)
    face = IndexedField()
    tags = ListField()


def deal(count: int, **values: Any) -> None:
    Card.bulk_create([Card(**{"number": n, "suit": n % 3, "rank": 1, "points": n % 2, **values}) for n in range(count)])


def numbers(rows: Any) -> list[int]:
    return sorted(row.number for row in rows)


def test_rows_with_equal_bytes_are_tested_once(store: Any):
    deal(30)
    Card.suit.asked.clear()
    assert numbers(Card.query.filter(suit__odd=True)) == [n for n in range(30) if n % 3 == 1]
    assert sorted(Card.suit.asked) == [0, 1, 2]


def test_a_value_that_is_more_than_its_bytes_is_tested_in_each_row(store: Any):
    Card.bulk_create([Card(number=n, suit=0, rank=1, shift=n % 2) for n in range(10)])
    Card.rank.asked.clear()
    assert numbers(Card.query.filter(rank__odd=True)) == [0, 2, 4, 6, 8]
    assert len(Card.rank.asked) == 10


def test_several_conditions_must_all_hold(store: Any):
    deal(30)
    assert numbers(Card.query.filter(suit__odd=True, points=1)) == [n for n in range(30) if n % 3 == 1 and n % 2]
    assert numbers(Card.query.filter(suit__odd=True, points=1, number__in=[1, 7, 8])) == [1, 7]


@pytest.mark.parametrize("sign", ["", "-"])
def test_ties_across_the_steps_of_a_walk_come_once(store: Any, sign: str):
    deal(1_200)
    with round_trips() as trips:
        found = [row.number for row in Card.query.filter(order_by=f"{sign}points", limit=1_100)]
    right = sorted(range(1_200), key=lambda n: (n % 2, f"Card:{n}"), reverse=sign == "-")
    assert (found, int(trips)) == (right[:1_100], 2)


def test_ties_across_pages_come_once(store: Any):
    deal(1_200)
    with round_trips() as trips:
        found = [row.number for row in Card.query.filter(points__gte=0)]
    assert (sorted(found), int(trips)) == (list(range(1_200)), 2)


def test_a_row_that_is_left_in_several_sets_comes_once(store: Any, plain: Any):
    deal(9)
    plain.sadd("$IndexF:Card:suit:1", "Card:0")
    assert numbers(Card.query.filter(suit__in=[0, 1])) == [0, 1, 3, 4, 6, 7]
    assert Card.query.count(suit__in=[0, 1]) == 6
    Card.bulk_update(Card.query.filter(number__in=[0, 1]), face="king")
    Card.bulk_update(Card.query.filter(number=2), face="knave")
    plain.sadd("$IndexF:Card:face:king", "Card:2")
    assert numbers(Card.query.filter(face__startswith="k")) == [0, 1, 2]
    assert Card.query.count(face__startswith="k") == 3


def test_a_row_of_a_query_is_copied_and_refreshed_whole(store: Any, plain: Any):
    deal(1, tags=["a"])
    (row,) = Card.query.filter(suit=0)
    twin = copy.copy(row)
    assert (twin.number, twin.suit, twin.tags) == (0, 0, ["a"])
    other = Card.load(number=0)
    assert other is not None
    other.suit = 2
    other.save()
    row.refresh()
    assert (row.suit, row.points) == (2, 0)
    row.points = 5
    row.save()
    assert plain.hget("Card:0", "points") == b"\x05"
    assert plain.hget("Card:0", "suit") == b"\x02"


def test_a_plain_query_runs_a_script_without_what_judges_rows():
    for packs in (True, False):
        assert "value_number = function" in SELECT[True, packs].text
        assert "value_number = function" not in SELECT[False, packs].text
