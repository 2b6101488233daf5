"""What is called out in the kitchen: the pass, which whoever listens hears, and the till, which misses nothing."""

from __future__ import annotations

import asyncio
from collections import Counter

from popoto import Publisher, StreamConsumer, Subscriber, SubscriberException
from popoto_kitchen.orders import Order


class Pass(Publisher):
    """The counter between kitchen and dining rooms: a plate that is ready is called out in the room it goes to."""

    async def call(self, room: str, order: Order) -> None:
        """Call a plate out."""
        await self.async_publish({"order": str(order.pk), "table": order.table}, channel_name=f"pass {room}")


class Waiter(Subscriber):
    """A waiter, who listens to one room and carries what is called there."""

    def __init__(self, name: str, room: str) -> None:
        super().__init__(sub_channel_names=[f"pass {room}"])
        self.name = name
        self.carried = 0
        self.eaten: dict[str, asyncio.Event] = {}

    async def handle(self, channel: str, data: dict[str, str], *args: object, **kwargs: object) -> None:
        """Carry a plate to its table. A handler may be a coroutine function where the waiter is polled with `await`."""
        order = await Order.query.async_get(redis_key=data["order"])
        if order is None:
            raise SubscriberException(f"{data['order']} was called and is not stored")
        order.status = "served"
        await order.async_save(update_fields=["status"])
        self.carried += 1
        self.served(str(order.pk)).set()

    def served(self, order: str) -> asyncio.Event:
        """Give what is set when an order is on its table."""
        return self.eaten.setdefault(order, asyncio.Event())


def count_events() -> dict[str, int]:
    """Count the events of orders since the last call, by what they say happened.

    The stream keeps what happened, and the group `till` knows how far it has read, across runs of the program.
    """
    seen: Counter[str] = Counter()

    def count(entries: list[tuple[str, dict[str, str]]]) -> None:
        seen.update(f"{fields['op']} {fields['status']}" for _, fields in entries)

    till = StreamConsumer("stream:orders", "till", "till 1", count, block_ms=0)
    while till.process_batch_sync():
        pass
    return dict(sorted(seen.items()))
