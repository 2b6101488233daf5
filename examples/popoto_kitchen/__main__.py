"""Run an evening at Popoto Kitchen, or look after its indexes with `--ops`."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import popoto
from popoto import clock
from popoto.recipes import AssemblyResult
from popoto_kitchen import guests, memory, menu, operations, orders
from popoto_kitchen.board import count_events
from popoto_kitchen.orders import Evening
from popoto_kitchen.service import Service, wishes

QUESTION = "What dessert does Ada like best, and without what?"


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="popoto_kitchen", description=__doc__)
    parser.add_argument("--ops", action="store_true", help="make index entries stray, count them, and clean them up")
    parser.add_argument("--data", type=Path, help="keep everything in this directory, on an embedded server")
    options = parser.parse_args(argv)
    url = os.environ.get("POPOTO_URL", "embedded::memory:")
    if options.data is not None:
        url = f"embedded://{quote(str(options.data.resolve()))}"
    connection = popoto.connect(url)
    try:
        (look_after_indexes if options.ops else dinner)()
    finally:
        connection.close()


def dinner() -> None:
    """Run one evening, from opening to what was learned."""
    evening = orders.open_evening()
    opening = datetime(evening.day.year, evening.day.month, evening.day.day, 18, tzinfo=UTC).timestamp()
    with clock.frozen(lambda: opening):  # popoto's clock stands still, so that every run prints the same
        prepare(evening)
        recalled = greet(evening)
        serve(evening)
        close(evening)
        learn(recalled)


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n{text}\n{'-' * len(text)}")


def prepare(evening: Evening) -> None:
    """Open the menu and the rooms."""
    print(f"Popoto Kitchen, evening {evening.number}: {orders.now():%A %d %B %Y, %H:%M}")
    heading("The menu (bulk verbs, ranges, places)")
    print(f"new on the menu: {menu.open_menu()} dishes; restocked: {menu.restock()}")
    print("suppliers within 30 km:", ", ".join(f"{name} {km} km" for name, km in menu.nearest_suppliers(30)))
    print("mains up to 19.00:", ", ".join(f"{name} {price}" for name, price in menu.cheapest("main", Decimal(19))))
    print("vegetarian, without nuts:", ", ".join(menu.without("nuts")))


def greet(evening: Evening) -> AssemblyResult:
    """Hold tables, and recall what is known of a guest."""
    guests.open_rooms()
    holds = guests.hold_tables()
    heading("The door (times to live)")
    print(f"tables held for {guests.HOLD_SECONDS} s: {len(holds)}; guests came for {guests.release(holds)}")
    print(f"still held: {guests.Hold.query.count()}; the server lets it go by itself")
    heading("The maître d' remembers (an agent's memory)")
    maitre = memory.MaitreD()
    print(f"notes learned: {maitre.learn()}; notes known: {memory.Memory.query.count()}")
    print(QUESTION)
    recalled = maitre.recall("Ada", QUESTION)
    print("\n".join(f"  {line}" for line in memory.reasons(recalled)))
    return recalled


def serve(evening: Evening) -> None:
    """Serve dinner to all guests at once."""
    wanted = wishes(guests.NAMES, seed=evening.number)
    service, paid = asyncio.run(_service(evening, wanted))
    evening.takings = paid
    evening.plates = orders.Order.query.count(day=evening.day)
    evening.save()
    heading("The service (asyncio, pub/sub, atomic counts, pipelines)")
    print(f"{len(wanted)} guests at once; plates: {evening.plates}; takings: {evening.takings}")
    print(f"trout for {menu.TROUT}; told that it is sold out: {service.disappointed}")
    print("carried:", ", ".join(f"{waiter.name} {waiter.carried}" for waiter in service.waiters.values()))
    print("by course:", ", ".join(f"{course} {count}" for course, count in orders.by_course(evening.day).items()))


async def _service(evening: Evening, wanted: dict[str, list[str]]) -> tuple[Service, Decimal]:
    service = Service(evening)
    return service, await service.run(wanted)


def close(evening: Evening) -> None:
    """Close the till."""
    heading("Closing time (event streams, order)")
    print("events:", ", ".join(f"{what} {count}" for what, count in count_events().items()))
    best = menu.Dish.query.filter(order_by="-sold", limit=3)
    print("most ordered so far:", ", ".join(f"{dish.name} {dish.sold}" for dish in best))
    ada = guests.Guest.query.get(name="Ada")
    if ada is not None:
        print(f"Ada: visit {ada.visits}; her last {len(ada.recent)} dishes are kept, the newest is {ada.recent[0]}")
    if find_spec("pandas") is not None:  # an optional package, so its model lies in a module of its own
        from popoto_kitchen.takings import note_takings  # noqa: PLC0415

        sales = note_takings(evening).sales
        print(f"a table of sales was stored: {len(sales)} dishes, {sales['sum'].sum():.2f}")


def learn(recalled: AssemblyResult) -> None:
    """Tell the memories what became of them, and recall again."""
    heading("What the maître d' learned (outcomes)")
    maitre = memory.MaitreD()
    maitre.report(recalled, {"chocolate": "acted", "nuts": "used", "dumplings": "contradicted"})
    print(f"the cake and the Madeira went together: {maitre.associate('Ada', 'chocolate', 'wine'):.2f}")
    print(QUESTION)
    again = maitre.recall("Ada", QUESTION)
    print("\n".join(f"  {line}" for line in memory.reasons(again)))


def look_after_indexes() -> None:
    """Make entries stray, count them, clean them up, and count again. The next run stores what was lost."""
    menu.open_menu()
    guests.open_rooms()
    memory.MaitreD().learn()
    lost = operations.lose_rows()
    print(f"{lost} rows were deleted behind popoto's back: {', '.join(operations.LOST)}\n")
    print("check_indexes: entries that no row has")
    print("\n".join(operations.table(operations.check())))
    print(f"\nclean_indexes removed {operations.clean()}\n")
    print("check_indexes")
    print("\n".join(operations.table(operations.check())))


if __name__ == "__main__":
    main()
