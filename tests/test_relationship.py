"""Relationship: a reference is a key, loaded when it is asked for, and never erased because it dangles."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest
from stored import keyspace

from popoto import (
    EventStreamMixin,
    Field,
    IntField,
    KeyField,
    Model,
    ModelException,
    Q,
    QueryException,
    Relationship,
    SortedField,
    round_trips,
)


class Customer(Model):
    name = KeyField()
    city = Field()


class Driver(Customer):
    """A model of its own, with keys of its own."""


class Order(Model):
    number = KeyField()
    customer = Relationship(model=Customer)
    parent = Relationship(model="self")
    total = SortedField(type=int, default=0, partition_by="customer")
    note = IntField()


ALICE = "Customer:al{&#58;}ice"


def orders() -> Customer:
    alice = Customer.create(name="al:ice", city="Rome")
    bob = Customer.create(name="bob")
    first = Order.create(number="1", customer=alice, total=5)
    Order.create(number="2", customer=alice, parent=first, total=7)
    Order.create(number="3", customer=bob.pk, total=9)
    Order.create(number="4")
    Order.create(number="5", customer="Customer:gone")
    return alice


def numbers(**keywords: Any) -> list[str]:
    return sorted(row.number for row in Order.query.filter(**keywords))


def test_a_reference_is_stored_and_indexed_as_1x_did(store: Any, plain: Any):
    alice = Customer.create(name="al:ice")
    Order.create(number="1", customer=alice)
    here = keyspace(plain)
    assert here[b"Order:1"][b"customer"] == msgpack.packb(ALICE)
    assert here[b"Order:1"][b"parent"] == b"\xc0"
    assert here[f"$RelationshipF:Order:customer:{ALICE}".encode()] == {b"Order:1"}
    assert here[b"$SortF:Order:total:Customer{&#58;}al{/&#58;}ice"] == {b"Order:1": 0.0}


def test_the_related_row_is_loaded_once_when_it_is_asked_for(store: Any):
    alice = orders()
    for row in (Order.load("Order:1"), Order.query.filter(number="1")[0], Order.query.get(number="1")):
        with round_trips() as trips:
            assert row.customer == alice
            assert row.customer.city == "Rome"
        assert trips == 1
    assert Order.load("Order:4").customer is None
    assert Order.load("Order:2").parent.customer.city == "Rome"


def test_changing_clearing_and_deleting_move_the_entry(store: Any, plain: Any):
    orders()
    row = Order.query.filter(number="1")[0]
    row.customer = Customer.load("Customer:bob")
    row.save()
    here = keyspace(plain)
    assert here[f"$RelationshipF:Order:customer:{ALICE}".encode()] == {b"Order:2"}
    assert here[b"$RelationshipF:Order:customer:Customer:bob"] == {b"Order:1", b"Order:3"}
    assert here[b"$SortF:Order:total:Customer{&#58;}bob"] == {b"Order:1": 5.0, b"Order:3": 9.0}
    row.customer = None
    row.save(update_fields=["customer"])
    assert keyspace(plain)[b"$RelationshipF:Order:customer:Customer:bob"] == {b"Order:3"}
    row.customer = ALICE
    row.save()
    assert keyspace(plain)[f"$RelationshipF:Order:customer:{ALICE}".encode()] == {b"Order:1", b"Order:2"}
    assert Order.check_indexes()["total"] == 0
    for one in Order.query.all():
        one.delete()
    assert [key for key in keyspace(plain) if b"Order" in key] == []


@pytest.mark.parametrize(
    ("keywords", "wanted"),
    [
        ({"customer": Customer(name="al:ice")}, ["1", "2"]),
        ({"customer": ALICE}, ["1", "2"]),
        ({"customer": Customer(name="bob"), "total__gt": 8}, ["3"]),
        ({"customer": ALICE, "total": 7}, ["2"]),
        ({"customer": "Customer:gone"}, ["5"]),
        ({"customer": "Customer:nobody"}, []),
        ({"customer": None}, ["4"]),
        ({"customer__isnull": True}, ["4"]),
        ({"customer__isnull": False}, ["1", "2", "3", "5"]),
        ({"customer__in": [ALICE, Customer(name="bob"), None]}, ["1", "2", "3", "4"]),
        ({"customer__in": []}, []),
        ({"parent": "Order:1"}, ["2"]),
        ({"parent__isnull": False, "customer": ALICE}, ["2"]),
    ],
)
def test_rows_are_found_by_what_they_refer_to(store: Any, keywords: dict[str, Any], wanted: list[str]):
    orders()
    with round_trips() as trips:
        assert numbers(**keywords) == wanted
    assert trips == 1
    assert Order.query.count(**keywords) == len(wanted)


def test_expressions_take_related_rows(store: Any):
    alice = orders()
    assert sorted(row.number for row in Order.query.filter(Order.customer == alice)) == ["1", "2"]
    assert sorted(row.number for row in Order.query.filter(~Q(customer=alice))) == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"customer": 5}, "customer=5"),
        ({"customer": "bob"}, "no key of Customer"),
        ({"customer": Order(number="1")}, "no Customer"),
        ({"customer": Driver(name="d")}, "no Customer"),
        ({"customer__in": "Customer:bob"}, "wants a list"),
        ({"customer__gt": ALICE}, "no lookup"),
        ({"customer__isnull": 1}, "True or False"),
    ],
)
def test_a_wrong_operand_is_refused(fake: Any, keywords: dict[str, Any], message: str):
    with pytest.raises(QueryException, match=message):
        Order.query.filter(**keywords)


@pytest.mark.parametrize("wrong", [5, "x:y", "Customer", b"Customer:a", Order(number="9"), Driver(name="d"), []])
def test_a_wrong_value_is_refused_and_nothing_written(store: Any, plain: Any, wrong: Any):
    Order.create(number="1")
    before = keyspace(plain)
    row = Order.load("Order:1")
    row.customer = wrong
    with pytest.raises(ModelException, match=r"Order\.customer"):
        row.save()
    with pytest.raises(ModelException, match=r"Order\.customer"):
        Order.create(number="2", customer=wrong)
    assert keyspace(plain) == before


def test_a_reference_may_be_demanded(fake: Any, plain: Any):
    class Parcel(Model):
        number = KeyField()
        customer = Relationship(model=Customer, null=False)

    with pytest.raises(ModelException, match="null=False"):
        Parcel.create(number="1")
    assert keyspace(plain) == {}


def test_a_relationship_needs_a_model():
    for wrong in (None, 5, "Customer"):
        with pytest.raises(ModelException, match="no model class"):
            Relationship(model=wrong)


def test_a_dangling_reference_is_reported_and_never_erased(store: Any, plain: Any):
    orders()
    row = Order.load("Order:5")
    with pytest.raises(ModelException, match=r"'Customer:gone', which is not stored"):
        _ = row.customer
    row.note = 1
    row.save()
    assert plain.hget("Order:5", "customer") == msgpack.packb("Customer:gone")
    assert Order.customer.key_of(row) == "Customer:gone"
    assert row.to_dict()["customer"] == "Customer:gone"
    assert "Customer:gone" in repr(row)
    assert numbers(customer="Customer:gone") == ["5"]
    again = Order.load("Order:5")
    again.delete()
    assert not plain.exists("$RelationshipF:Order:customer:Customer:gone")


def test_a_row_whose_customer_was_deleted_is_saved_with_its_reference(store: Any, plain: Any):
    alice = orders()
    row = Order.load("Order:1")
    assert row.customer.city == "Rome"
    alice.delete()
    row.note = 3
    row.save()
    assert plain.hget("Order:1", "customer") == msgpack.packb(ALICE)


def test_loading_would_block_a_running_event_loop_and_is_refused_there(store: Any):
    orders()

    async def work() -> Any:
        row = await Order.query.async_get(number="1")
        with pytest.raises(ModelException, match=r"async_fetch\('customer'\)"):
            _ = row.customer
        assert Order.customer.key_of(row) == ALICE
        assert row.to_dict()["customer"] == ALICE
        assert repr(row) and row in [row]
        with round_trips() as trips:
            customer = await row.async_fetch("customer")
            assert customer is row.customer is await row.async_fetch("customer")
        assert trips == 1
        row.note = 2
        await row.async_save()
        empty = await Order.query.async_get(number="4")
        assert empty.customer is None
        assert await empty.async_fetch("customer") is None
        with pytest.raises(ModelException, match="Customer:gone"):
            await (await Order.async_load("Order:5")).async_fetch("customer")
        with pytest.raises(ModelException, match="no relationship"):
            await row.async_fetch("note")
        found, created = await Order.async_get_or_create(number="1", customer=ALICE)
        assert (found.number, created) == ("1", False)
        return customer.city

    assert asyncio.run(work()) == "Rome"


def test_a_thread_of_an_event_loop_may_load(store: Any):
    orders()

    async def work() -> Any:
        return await asyncio.to_thread(lambda: Order.load("Order:1").customer.city)

    assert asyncio.run(work()) == "Rome"


def test_prefetch_loads_each_relationship_in_the_same_round_trip(store: Any):
    orders()
    with round_trips() as trips:
        rows = Order.query.filter(order_by="number").prefetch("customer", "parent").all()
        assert [None if row.number in "45" else row.customer.name for row in rows] == [
            "al:ice",
            "al:ice",
            "bob",
            None,
            None,
        ]
        assert rows[1].parent.number == "1"
        assert rows[0].customer is rows[1].customer
    assert trips == 1
    with pytest.raises(ModelException, match="Customer:gone"):
        _ = rows[4].customer
    rows[4].save()
    assert numbers(customer="Customer:gone") == ["5"]


def test_prefetch_narrows_like_every_query(store: Any):
    orders()

    async def work() -> list[str]:
        rows = await Order.query.prefetch("customer").filter(customer=ALICE).order_by("-number").limit(1)
        return [row.customer.city + row.number for row in rows]

    assert asyncio.run(work()) == ["Rome2"]
    with pytest.raises(QueryException, match="no relationship"):
        Order.query.prefetch("note")


def test_a_chain_that_ends_in_itself_is_loaded_step_by_step(store: Any):
    row = Order.create(number="1")
    row.parent = row
    row.save()
    found = Order.load("Order:1")
    assert found.parent.parent.parent.number == "1"


def test_values_and_dictionaries_have_keys(store: Any):
    orders()
    assert Order.query.filter(number="1").values("number", "customer").all() == [{"number": "1", "customer": ALICE}]


def test_a_reference_renamed_away_dangles(store: Any):
    orders()
    bob = Customer.load("Customer:bob")
    bob.name = "rob"
    bob.save(migrate_key=True)
    with pytest.raises(ModelException, match="Customer:bob"):
        _ = Order.load("Order:3").customer


def test_an_instance_that_was_never_saved_can_be_referred_to(store: Any, plain: Any):
    Order.create(number="1", customer=Customer(name="new"))
    assert plain.hget("Order:1", "customer") == msgpack.packb("Customer:new")
    Customer.create(name="new", city="Oslo")
    assert Order.load("Order:1").customer.city == "Oslo"


def test_refresh_forgets_a_loaded_customer(store: Any):
    orders()
    row = Order.load("Order:1")
    assert row.customer.city == "Rome"
    Customer.create(name="al:ice", city="Bari")
    assert row.customer.city == "Rome"
    row.refresh()
    assert row.customer.city == "Bari"


def test_an_event_stream_names_the_key(store: Any, plain: Any):
    class Sale(EventStreamMixin, Model):
        number = KeyField()
        customer = Relationship(model=Customer)
        _stream_name = "sales"

    Sale.create(number="1", customer=Customer.create(name="bob"))
    ((_, entry),) = plain.xrange("stream:sales")
    assert (entry[b"pk"], entry[b"op"]) == (b"Sale:1", b"create")
