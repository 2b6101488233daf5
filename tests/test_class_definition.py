"""A model class gathers its fields and Meta from its bases, and a class that cannot work is refused when it is made."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from stored import keyspace, stray_entries

from popoto import (
    AutoKeyField,
    Field,
    IndexedField,
    IntField,
    KeyField,
    Model,
    ModelException,
    QueryException,
    SortedField,
    UniqueField,
    UniqueKeyField,
)


class Base(Model):
    name = KeyField()
    note = Field(default="n")

    class Meta:
        abstract = True
        ttl = 100
        order_by = "name"


class Child(Base):
    extra = IndexedField()


class Grandchild(Child):
    note = Field(default="other")  # type: ignore[assignment]
    more = IntField()

    class Meta:
        ttl = 7


class Stamped:
    """No model: its fields are taken along."""

    stamp = IntField(default=1)
    plain = "not a field"

    def shout(self) -> str:
        return f"{self.stamp}!"


class Mixed(Stamped, Model):
    name = KeyField()


def test_fields_and_meta_are_inherited(fake: Any, plain: Any):
    assert Child._meta.field_names == ["name", "note", "extra"]
    assert (Child._meta.ttl, Child._meta.order_by, Child._meta.abstract) == (100, "name", False)
    assert Grandchild._meta.field_names == ["name", "note", "extra", "more"]
    assert (Grandchild._meta.ttl, Grandchild._meta.order_by) == (7, "name")
    made = Grandchild.create(name="a", extra="x")
    assert (made.note, made._ttl) == ("other", 7)
    assert sorted(key for key in keyspace(plain) if not key.startswith((b"$Exp", b"$Rcpt"))) == [
        b"$Class:Grandchild", b"$IndexF:Grandchild:extra:x", b"$KeyF:Grandchild:name:a",
        b"$Vals:Grandchild", b"$Vals:Grandchild:extra", b"Grandchild:a",
    ]  # fmt: skip
    assert Grandchild.query.filter(extra="x").all() == [made]
    assert Child.query.all() == []


def test_an_abstract_model_has_no_rows(fake: Any, plain: Any):
    with pytest.raises(ModelException, match="Base is abstract: create instances of its subclasses"):
        Base(name="a")
    with pytest.raises(ModelException, match="abstract"):
        Base.create(name="a")
    for way in (Base.query.filter, Base.query.all, Base.query.count, Base.query.get):
        with pytest.raises(QueryException, match="Base is abstract and has no rows"):
            way(name="a")
    assert keyspace(plain) == {}


@pytest.mark.parametrize("way", ["all", "count", "get", "first", "last", "exists"])
def test_an_abstract_model_is_not_queried_without_keywords_either(fake: Any, way: str):
    with pytest.raises(QueryException, match="Base is abstract and has no rows"):
        getattr(Base.query, way)()


def test_a_mixin_brings_fields_and_methods(fake: Any, plain: Any):
    made = Mixed.create(name="a")
    assert plain.hget("Mixed:a", "stamp") == b"\x01"
    assert (Mixed._meta.field_names, made.shout(), made.plain) == (["stamp", "name"], "1!", "not a field")


def test_a_subclass_can_take_a_field_away(fake: Any):
    class Without(Child):
        note = property(lambda self: "made")  # type: ignore[assignment]

    assert Without._meta.field_names == ["name", "extra"]
    assert Without(name="a").note == "made"


def test_a_class_without_keys_gets_a_generated_one_when_it_is_made(fake: Any):
    class Lone(Model):
        text = Field()

    class Keyed(Lone):
        k = KeyField()

    class Still(Lone):
        more = Field()

    assert Lone._meta.key_order == ("_auto_key",)
    assert Keyed._meta.key_order == ("k",)
    assert Still._meta.key_order == ("_auto_key",)
    assert Lone._meta.hidden_fields.keys() == {"_auto_key"}
    assert Still.create(text="a", more="b")._auto_key != Still.create()._auto_key


def test_two_children_of_one_base_do_not_share_rows(fake: Any, plain: Any):
    class One(Base):
        code = UniqueField()

    class Two(Base):
        code = UniqueField()

    One.create(name="a", code="x")
    Two.create(name="a", code="x")
    assert stray_entries(plain, One) == stray_entries(plain, Two) == []
    assert (One.query.count(), Two.query.count()) == (1, 1)


def make(**body: Any) -> type:
    return type("Made", (Model,), body)


BAD_BODIES: dict[str, tuple[Any, str]] = {
    "attribute": (lambda: make(text="x"), r"Made\.text = 'x': public attributes of a model must be fields"),
    "reserved": (lambda: make(limit=Field()), r"Made\.limit: this name has a meaning in queries"),
    "order_by": (lambda: make(order_by=Field()), r"Made\.order_by: this name has a meaning"),
    "values": (lambda: make(values=Field()), r"Made\.values: this name has a meaning"),
    "capital": (lambda: make(Name=Field()), r"Made\.Name: a field's name begins with a lower-case letter"),
    "dunder": (lambda: make(a__b=Field()), r"Made\.a__b: this name has a meaning"),
    "method": (lambda: make(save=Field()), r"Made\.save: Model\.save exists already"),
    "query": (lambda: make(query=Field()), r"Made\.query: Model\.query exists already"),
    "pk": (lambda: make(pk=Field()), r"Made\.pk: Model\.pk exists already"),
    "ttl": (lambda: make(_ttl=Field()), r"Made\._ttl: Model\._ttl exists already"),
    "raw": (lambda: make(_raw=Field()), r"Made\._raw"),
    "redis_key": (lambda: make(_redis_key=Field()), r"Made\._redis_key"),
    "type": (lambda: make(a=Field(type=object)), r"Field: type=<class 'object'> cannot be stored; use one of int"),
    "key type": (lambda: make(a=KeyField(type=list)), r"KeyField: type=<class 'list'> cannot be stored"),
    "sorted type": (lambda: make(a=SortedField(type=str)), r"SortedField: type=<class 'str'> cannot be stored"),
    "short type": (
        lambda: make(a=IntField(type=str)),
        r"IntField: type=<class 'str'> cannot be stored; use one of int",
    ),
    "option": (lambda: make(a=Field(nul=True)), r"Field has no option 'nul'; did you mean 'null'"),
    "max_length": (lambda: make(a=Field(max_length=0)), r"max_length=0 is no length; give a positive int or None"),
    "null sorted": (lambda: make(a=SortedField(null=True)), "SortedField cannot be null"),
    "unique": (lambda: make(a=UniqueField(unique=False)), "UniqueField is unique by its nature"),
    "null unique": (lambda: make(a=UniqueField(null=True)), "UniqueField cannot be null"),
    "null key": (lambda: make(a=UniqueKeyField(null=True)), "UniqueKeyField cannot be null"),
    "uuid": (lambda: make(a=AutoKeyField(auto_uuid_length=4)), "auto_uuid_length=4 must be an int from 8 to 32"),
    "partition": (lambda: make(a=SortedField(partition_by="b")), r"Made\.a: partition_by names 'b', which is no field"),
    "no field": (lambda: make(a=KeyField), r"Made\.a is a class of fields and no field: write a = KeyField\(\)"),
    "partition list": (lambda: make(a=SortedField(partition_by=["b"])), r"must be a field name or a tuple of them"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_bad_body_is_refused(case: str):
    body, message = BAD_BODIES[case]
    with pytest.raises(ModelException, match=message):
        body()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0}, r"Made\.Meta\.ttl=0 must be a positive int of seconds, or None"),
        ({"ttl": "5"}, r"Made\.Meta\.ttl='5' must be"),
        ({"ttl": 1.5}, r"Made\.Meta\.ttl=1\.5 must be"),
        ({"ttl": True}, r"Made\.Meta\.ttl=True must be"),
        ({"order_by": "nope"}, r"Made\.Meta\.order_by='nope' names no field"),
        ({"order_by": 5}, r"Made\.Meta\.order_by=5 names no field"),
        ({"order": "k"}, r"Made\.Meta\.order is no option; there are order_by, ttl"),
        ({"indexes": (("k", True),)}, r"Made\.Meta\.indexes: \('k', True\) is not"),
        ({"indexes": ((("k",), 1),)}, r"Made\.Meta\.indexes: \(\('k',\), 1\) is not"),
        ({"indexes": ((("nope",), True),)}, r"Made\.Meta\.indexes"),
        ({"indexes": (((), True),)}, r"Made\.Meta\.indexes: \(\(\), True\) is not"),
        ({"indexes": 5}, r"Made\.Meta\.indexes=5 must be a tuple"),
        ({"indexes": "k"}, r"Made\.Meta\.indexes='k' must be a tuple"),
        ({"abstract": "yes"}, r"Made\.Meta\.abstract='yes' must be True or False"),
        ({"connection": 5}, r"Made\.Meta\.connection=5"),
        ({"hash_tag": 5}, r"Made\.Meta\.hash_tag=5"),
    ],
)
def test_bad_meta_options_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ModelException, match=message):
        type("Made", (Model,), {"k": KeyField(), "Meta": type("Meta", (), options)})


@pytest.mark.parametrize("kind", [KeyField, UniqueKeyField, AutoKeyField, IndexedField, UniqueField])
def test_what_is_indexed_by_its_nature_may_be_declared_so(kind: type[Field]):
    assert kind(indexed=True).indexed


def test_one_field_object_serves_one_name():
    shared = Field()
    with pytest.raises(Exception, match=r"one Field object cannot be both 'a' and 'b'|Error calling __set_name__"):
        make(a=shared, b=shared)


def test_class_constants_methods_and_properties_are_no_fields():
    class Rich(Model):
        k = KeyField()
        _constant = 5

        @property
        def shout(self) -> str:
            return self.k.upper()

        @classmethod
        def made(cls) -> Rich:
            return cls(k="a")

        @staticmethod
        def one() -> int:
            return 1

        class Inner:
            pass

    assert Rich._meta.field_names == ["k"]
    assert (Rich.made().shout, Rich.one(), Rich._constant) == ("A", 1, 5)


def test_the_field_is_reachable_on_the_class():
    assert isinstance(Child.extra, IndexedField)
    assert Child._meta.fields["extra"] is Child.extra
    assert Child._options is Child._meta  # type: ignore[attr-defined]
    assert Child.get_info()["name"] == "Child"
    assert Child.get_info()["fields"] == ["name", "note", "extra"]
    assert "extra__in" in Child.get_info()["query_filters"]


def test_meta_tells_the_kinds_of_its_fields():
    class Kinds(Model):
        k = KeyField()
        auto = AutoKeyField()
        s = SortedField()
        i = IndexedField()
        f = Field()
        _h = Field()

    meta = Kinds._meta
    assert list(meta.explicit_fields) == ["k", "auto", "s", "i", "f"]
    assert list(meta.hidden_fields) == ["_h"]
    assert meta.field_names == ["k", "auto", "s", "i", "f", "_h"]
    assert (meta.key_field_names, meta.auto_field_names) == ({"k", "auto"}, {"auto"})
    assert (meta.sorted_field_names, meta.indexed_field_names) == ({"s"}, {"i"})
    assert (meta.model_name, meta.db_class_key, meta.db_class_set_key) == ("Kinds", "Kinds", "$Class:Kinds")
    assert meta.db_key_length == 3


def test_sort_by_is_the_old_name_of_partition_by():
    with pytest.warns(DeprecationWarning, match="write partition_by"):
        old = SortedField(sort_by="kind")
    assert old.partition_by == ("kind",)
    with pytest.raises(ModelException, match="give partition_by alone"):
        SortedField(sort_by="kind", partition_by="kind")


def test_defaults_may_be_made(fake: Any):
    class Made(Model):
        k = KeyField(default=lambda: "made")
        day = Field(type=date, default=lambda: date(2024, 1, 2))
        number = IntField(default="5")  # type: ignore[arg-type]

    made = Made.create()
    assert (made.pk, made.day, made.number) == ("Made:made", date(2024, 1, 2), 5)
