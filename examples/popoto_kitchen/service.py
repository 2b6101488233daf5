"""A dinner service under asyncio: all guests order at once, two cooks cook, and two waiters carry."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import popoto
from popoto_kitchen.board import Pass, Waiter
from popoto_kitchen.guests import ROOMS, Guest, table_of
from popoto_kitchen.menu import DISHES, Dish
from popoto_kitchen.orders import Evening, Order, dish_of, now

INSTEAD = "Mushroom risotto"
# A call that is lost leaves a guest waiting; better an error than an evening without end.
LONGEST_SECONDS = 60


class Service:
    """One evening's service.

    Attributes:
        evening: the evening.
        waiters: the waiter of each room.
        disappointed: how many guests were told that a dish is sold out.
    """

    def __init__(self, evening: Evening) -> None:
        self.evening = evening
        self.waiters = {"garden": Waiter("Rosa", "garden"), "hall": Waiter("Theo", "hall")}
        self.disappointed = 0
        self._spike: asyncio.Queue[Order] = asyncio.Queue()
        self._pass = Pass()

    async def run(self, wishes: dict[str, list[str]]) -> Decimal:
        """Serve every guest what they wish for, and give what they paid."""
        garden, hall = self.waiters.values()
        async with (
            asyncio.timeout(LONGEST_SECONDS),
            garden,  # the waiters listen before the first plate is called
            hall,
            asyncio.TaskGroup() as tasks,  # whoever fails ends the evening for all
        ):
            staff = [tasks.create_task(self._cook()) for _ in range(2)]
            staff += [tasks.create_task(waiter.async_run()) for waiter in self.waiters.values()]
            guests = [tasks.create_task(self._dine(name, dishes)) for name, dishes in wishes.items()]
            paid = [await guest for guest in guests]
            for one in staff:
                one.cancel()
        return sum(paid, Decimal(0))

    async def _dine(self, name: str, dishes: list[str]) -> Decimal:
        """Eat one dish after the other, and pay for all."""
        eaten = [await self._order(name, dish) for dish in dishes]
        return await pay(name, eaten)

    async def _order(self, name: str, dish: str) -> Order:
        """Order a dish, or what there is instead, and wait until it is on the table."""
        taken = await self._take(dish)
        order = await Order.async_create(
            day=self.evening.day,
            table=table_of(name),
            guest=f"Guest:{name}",
            dish=taken,
            price=taken.price,
            placed_at=now(),
        )
        await self._spike.put(order)
        await self.waiters[ROOMS[order.table]].served(str(order.pk)).wait()
        return order

    async def _take(self, name: str) -> Dish:
        """Take a portion. The server counts, so of two who want the last one each gets another answer."""
        dish = await Dish.query.async_get(name=name)
        if dish is None:
            raise LookupError(f"{name} is not on the menu")
        if await dish.async_atomic_increment("portions", -1) < 0:
            await dish.async_atomic_increment("portions", 1)
            self.disappointed += 1
            return await self._take(INSTEAD)
        await dish.async_atomic_increment("sold", 1)  # its sorted index moves along
        return dish

    async def _cook(self) -> None:
        """Cook what is on the spike, and call it out."""
        while True:
            order = await self._spike.get()
            order.status = "ready"
            await order.async_save(update_fields=["status"])
            await self._pass.call(ROOMS[order.table], order)


async def pay(name: str, orders: list[Order]) -> Decimal:
    """Settle a guest's bill: every change travels in one pipeline, which is one round trip."""
    guest = await Guest.query.async_get(name=name)
    if guest is None:
        raise LookupError(f"{name} is not among the guests")
    pipeline = popoto.connection().pipeline()
    for order in orders:
        order.status = "paid"
        await order.async_save(pipeline=pipeline)
        await guest.recent.async_push(dish_of(order), pipeline=pipeline)
    await guest.async_atomic_increment("visits", 1, pipeline=pipeline)
    await pipeline.async_execute()
    return sum((order.price for order in orders), Decimal(0))


def wishes(names: list[str], seed: int) -> dict[str, list[str]]:
    """Give what each guest will order. The first six want trout; the rest of it is drawn."""
    drawn = random.Random(seed)
    courses = {
        course: [name for name, kind, *_ in DISHES if kind == course] for course in ("starter", "main", "dessert")
    }
    return {
        name: [
            drawn.choice(courses["starter"]),
            "Trout" if place < 6 else "Schnitzel",
            drawn.choice(courses["dessert"]),
        ]
        for place, name in enumerate(names)
    }
