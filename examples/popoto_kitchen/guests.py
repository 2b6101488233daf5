"""Who eats here, and where they sit."""

from __future__ import annotations

from datetime import date

from popoto import (
    DateField,
    DatetimeField,
    IntField,
    KeyField,
    ListField,
    Model,
    Relationship,
    UniqueField,
    UniqueKeyField,
)

HOLD_SECONDS = 900


class Guest(Model):
    """A guest. Two guests never have one address, under any number of writers."""

    name = KeyField()
    email = UniqueField()
    birthday = DateField()
    visits = IntField(default=0)
    recent = ListField(max_length=3)  # capped: `push` keeps the newest three
    member_since = DatetimeField(auto_now_add=True)


class Table(Model):
    """A table. Its key is room and number, and no number is in two rooms."""

    room = KeyField()
    number = UniqueKeyField(type=int)
    seats = IntField(default=2)


class Hold(Model):
    """A table that is kept free for a while; the server lets it go by itself when nobody comes."""

    table = KeyField(type=int)
    guest = Relationship(model=Guest)

    class Meta:
        ttl = HOLD_SECONDS


NAMES = ["Ada", "Bob", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ida", "Jan", "Kim", "Leo"]
ROOMS = {1: "garden", 2: "garden", 3: "garden", 4: "hall", 5: "hall", 6: "hall"}


def open_rooms() -> None:
    """Store the tables and the guests. `get_or_create` leaves a row that is there as it is."""
    for number, room in ROOMS.items():
        Table.get_or_create(room=room, number=number)
    for place, name in enumerate(NAMES):
        about = {"email": f"{name.lower()}@example.org", "birthday": date(1980 + place, 2, 1 + place)}
        Guest.get_or_create(name=name, defaults=about)


def table_of(name: str) -> int:
    """Give the table at which a guest sits: two at each."""
    return NAMES.index(name) // 2 + 1


def hold_tables() -> list[Hold]:
    """Keep a table for each guest who called before; Leo will not come."""
    holds = [Hold(table=table_of(name), guest=f"Guest:{name}") for name in NAMES[1::2]]
    return Hold.bulk_create(holds)


def release(holds: list[Hold]) -> int:
    """Let the tables go whose guests have come, and give how many."""
    return Hold.bulk_delete([hold for hold in holds if Hold.guest.key_of(hold) != "Guest:Leo"])
