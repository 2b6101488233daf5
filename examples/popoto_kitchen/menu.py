"""What the kitchen cooks, and who delivers what it cooks with."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

from popoto import (
    BooleanField,
    BytesField,
    DateField,
    DictField,
    FloatField,
    GeoField,
    IndexedField,
    IntField,
    KeyField,
    ListField,
    Model,
    Relationship,
    SetField,
    SortedField,
    StringField,
    TimeField,
    TupleField,
    UniqueField,
)

KITCHEN = GeoField.Coordinates(latitude=48.2082, longitude=16.3738)
PORTIONS = 12
# Trout are few: some who want one will be disappointed, however many order at the same moment.
TROUT = 4


class Supplier(Model):
    """A farm or a market, found by where it is."""

    name = KeyField()
    email = UniqueField()
    place = GeoField()


class Dish(Model):
    """A dish on the menu. Its name is its key; the other fields say how it is found."""

    name = KeyField()
    course = IndexedField()
    price = SortedField(type=Decimal, partition_by="course")  # ranges and order within a course
    sold = SortedField(type=int, default=0)
    portions = IntField(default=PORTIONS)
    vegetarian = BooleanField(default=False)
    supplier = Relationship(model=Supplier)
    description = StringField(max_length=120)
    steps = ListField(default=list)
    allergens = SetField(default=set)
    nutrition = DictField(default=dict)
    minutes = FloatField(default=10.0)
    since = DateField()
    served_from = TimeField(default=time(18, 0))
    plate_cm = TupleField(default=(24, 24))
    stamp = BytesField(default=b"\x89PK")


SUPPLIERS = [
    ("Marchfeld Farm", "farm@example.org", (48.2300, 16.6200)),
    ("Naschmarkt", "market@example.org", (48.1985, 16.3630)),
    ("Salzkammergut Fishery", "fish@example.org", (47.8000, 13.7700)),
]
# name, course, price, vegetarian, supplier, allergens
DISHES = [
    ("Potato soup", "starter", "6.50", True, "Marchfeld Farm", {"celery"}),
    ("Beetroot salad", "starter", "7.20", True, "Marchfeld Farm", {"nuts"}),
    ("Trout", "main", "21.00", False, "Salzkammergut Fishery", {"fish"}),
    ("Mushroom risotto", "main", "16.80", True, "Naschmarkt", {"milk"}),
    ("Schnitzel", "main", "18.90", False, "Naschmarkt", {"gluten", "egg"}),
    ("Chocolate cake", "dessert", "6.90", True, "Naschmarkt", {"egg", "gluten", "milk"}),
    ("Apricot dumplings", "dessert", "7.40", True, "Marchfeld Farm", {"gluten"}),
]


def open_menu() -> int:
    """Store suppliers and dishes that are not stored yet, and give how many dishes those were.

    Only those: `bulk_create` replaces rows that are there, and would forget what was sold.
    """
    here = {supplier.name for supplier in Supplier.query.filter(name__in=[name for name, *_ in SUPPLIERS])}
    Supplier.bulk_create(
        [Supplier(name=name, email=email, place=place) for name, email, place in SUPPLIERS if name not in here]
    )
    cooked = {dish.name for dish in Dish.query.filter(name__in=[name for name, *_ in DISHES])}
    return len(Dish.bulk_create([new_dish(*about) for about in DISHES if about[0] not in cooked]))


def new_dish(name: str, course: str, price: str, vegetarian: bool, supplier: str, allergens: set[str]) -> Dish:
    """Give a dish that is not stored yet. A value that does not fit its field is refused here, not later."""
    return Dish(
        name=name,
        course=course,
        price=Decimal(price),
        vegetarian=vegetarian,
        supplier=f"Supplier:{supplier}",  # a row's key stands for the row
        description=f"{name}, from {supplier}",
        steps=["prepare", "cook", "plate"],
        allergens=allergens,
        nutrition={"kcal": 90 * len(name)},
        since=date(2026, 1, 1),
    )


def restock() -> int:
    """Fill the larder for an evening and give how many dishes that were."""
    count = Dish.bulk_update(Dish.query.filter(), portions=PORTIONS)  # the rows of a query
    Dish.raw_update(["Dish:Trout"], portions=TROUT)  # by key; no row is loaded
    return count


def nearest_suppliers(kilometres: float) -> list[tuple[str, int]]:
    """Give the suppliers around the kitchen and how many kilometres away they are, the nearest first."""
    near = Supplier.query.filter(
        place=KITCHEN, place_radius=kilometres, place_radius_unit="km", place_with_distances=True
    )
    return [(supplier.name, round(supplier._geo_distance)) for supplier in near]


def cheapest(course: str, most: Decimal) -> list[tuple[str, Decimal]]:
    """Give the dishes of a course up to a price, the cheapest first: one walk along the course's own sorted set."""
    dishes = Dish.query.filter(course=course, price__lte=most, order_by="price")
    return [(dish.name, dish.price) for dish in dishes]


def without(allergen: str) -> list[str]:
    """Give the vegetarian dishes without an allergen. A set is no index: the rows that `filter` finds are looked at."""
    dishes = Dish.query.filter(vegetarian=True, order_by="name")
    return [dish.name for dish in dishes if allergen not in dish.allergens]
