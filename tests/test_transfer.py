"""What a query moves: the rows it returns and no more, told by the server's own figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from popoto import IndexedField, KeyField, Model, SortedField
from popoto.storage import Connection

ROWS = 20_000
# One row of msgpack: the key as a text of five digits, a text of two letters, an int of up to three bytes.
STOCK = """
for number = 0, tonumber(ARGV[1]) - 1 do
  local name = string.format('%05d', number)
  local key, kind = 'Part:' .. name, number % 2 == 0 and 'aa' or 'bb'
  local size = string.char(205, math.floor(number / 256), number % 256)
  redis.call('HSET', key, 'name', '\\165' .. name, 'kind', '\\162' .. kind, 'size', size)
  redis.call('SADD', '$Class:Part', key)
  redis.call('SADD', '$IndexF:Part:kind:' .. kind, key)
  redis.call('ZADD', '$SortF:Part:size', number, key)
end
"""


class Part(Model):
    name = KeyField()
    kind = IndexedField()
    size = SortedField(type=int)


@pytest.fixture
def stocked(server: Connection, plain: Any) -> Connection:
    plain.eval(STOCK, 0, ROWS)
    assert Part.query.first() is not None
    return server


def moved(plain: Any, work: Callable[[], Any]) -> tuple[Any, int, int]:
    """What the work returned, the bytes that the server sent for it, and how many rows it read."""

    def figures() -> tuple[int, int]:
        calls = plain.info("commandstats").get("cmdstat_hmget", {"calls": 0})["calls"]
        return plain.info("stats")["total_net_output_bytes"], calls

    work()
    before, one_reading = figures(), figures()
    answer = work()
    after = figures()
    # Asking for the figures is answered too.
    return answer, after[0] - one_reading[0] - (one_reading[0] - before[0]), after[1] - one_reading[1]


@pytest.mark.parametrize("order", ["size", "-size"])
def test_an_ordered_page_moves_just_its_rows(stocked: Connection, plain: Any, order: str) -> None:
    found, sent, read = moved(plain, lambda: Part.query.filter(order_by=order, limit=10).all())
    numbers = range(10) if order == "size" else range(ROWS - 1, ROWS - 11, -1)
    assert [part.size for part in found] == list(numbers)
    assert (read, 300 < sent < 1500) == (10, True), sent


def test_an_ordered_page_of_a_filter_moves_just_its_rows(stocked: Connection, plain: Any) -> None:
    query = lambda: Part.query.filter(kind="bb", size__gte=5000, order_by="size", limit=10).all()  # noqa: E731
    found, sent, read = moved(plain, query)
    assert [part.size for part in found] == list(range(5001, 5021, 2))
    assert (read, 300 < sent < 1500) == (10, True), sent


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [({}, ROWS), ({"kind": "aa"}, ROWS // 2), ({"size__lt": 500}, 500), ({"kind": "aa", "size__lt": 500}, 250)],
)
def test_counting_moves_a_number(stocked: Connection, plain: Any, conditions: dict[str, Any], expected: int) -> None:
    counted, sent, _ = moved(plain, lambda: Part.query.count(**conditions))
    assert (counted, sent < 600) == (expected, True), sent


def test_first_and_exists_move_one_row(stocked: Connection, plain: Any) -> None:
    for work in (lambda: Part.query.filter(kind="aa").first(), lambda: Part.query.exists(size__gte=19_000)):
        found, sent, read = moved(plain, work)
        assert (bool(found), read <= 1, sent < 600) == (True, True, True), (sent, read)
