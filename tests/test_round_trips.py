"""One table: what each verb costs in round trips, counted by the drivers and at the socket."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from proxy import Proxy
from stored import keyspace, stray_entries

from popoto import (
    AccessTrackerMixin,
    AutoKeyField,
    BM25Field,
    ConfidenceField,
    ContentField,
    CoOccurrenceField,
    CyclicDecayField,
    DecayingSortedField,
    EmbeddingField,
    ExistenceFilter,
    Field,
    FloatField,
    FrequencySketch,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    ObservationProtocol,
    PredictionLedgerMixin,
    RecallProposal,
    Relationship,
    RetrievalQuality,
    SortedField,
    UniqueField,
    WriteFilterMixin,
    connection,
    round_trips,
)
from popoto.configuration import configuration
from popoto.embeddings.hashing import HashingProvider
from popoto.recipes import SubconsciousMemory
from popoto.recipes.policy_cache import (
    PolicyEntry,
    async_crystallize,
    async_get_q_value,
    async_update_q_value,
    crystallize,
    get_q_value,
    update_q_value,
)
from popoto.storage import Connection, ask_all
from popoto.storage.commands.keys import exists


class Wine(Model):
    name = KeyField()
    grape = IndexedField()
    code = UniqueField()
    price = SortedField(type=int, default=0)
    stock = SortedField(type=int, default=0, partition_by="grape")


class House(Model):
    name = KeyField()
    land = IndexedField()


class Cellar(Model):
    name = KeyField()
    house = Relationship(model=House)


class Bottle(Model):
    number = KeyField(type=int)
    wine = Relationship(model=Wine)
    cellar = Relationship(model=Cellar)


def cellars() -> None:
    cellar = Cellar.create(name="c", house=House.create(name="h", land="it"))
    Bottle.bulk_create([Bottle(number=number, wine=f"Wine:{number}", cellar=cellar) for number in range(5)])
    # Every script of theirs is known to the server.
    Bottle.query.prefetch("wine").all()


class Pairing(Model):
    name = KeyField()
    near: Any = CoOccurrenceField()


class Fact(Model):
    name = KeyField()
    text = Field()
    body = ContentField()
    vector: Any = EmbeddingField(source="text", provider=HashingProvider(16))


@pytest.fixture(autouse=True)
def contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "content_path", str(tmp_path))


def fact(**values: Any) -> Any:
    made = Fact.create(name="a", text="tea", body="a long text")
    for name, value in values.items():
        setattr(made, name, value)
    Fact.query.semantic_search("tea")
    return made


class Memory(AccessTrackerMixin, WriteFilterMixin, PredictionLedgerMixin, Model):
    name = KeyField()
    kind = IndexedField(default="k")
    weight = FloatField(default=1.0)
    certainty = ConfidenceField(partition_by="kind")
    fresh = DecayingSortedField(base_score_field="weight")
    urgent = CyclicDecayField(cycles=[(60, 0.5)], pressure_rate=0.1)

    def compute_filter_score(self) -> float:
        return 0.8


def memory() -> Any:
    """A memory that has something of everything."""
    found = Memory.query.no_track().get(name="1")
    assert found is not None
    found.on_read()
    Memory.record_prediction(found, {"a": 1})
    RecallProposal.create_batch([found], partition="p")
    return found


def memories() -> Any:
    return Memory.query.no_track().all()


def renamed(found: Any) -> Any:
    found.name = "moved"
    return found


class Tasting(Model):
    name = KeyField()
    text = Field()
    words = BM25Field(source="text")
    bloom = ExistenceFilter(fingerprint_fn=lambda tasting: tasting.text)
    seen = FrequencySketch(fingerprint_fn=lambda tasting: tasting.text)


def tasted(verb: Callable[[], Any]) -> Any:
    """Two tastings, and the verb's script known to the server."""
    rows = [Tasting.create(name=name, text=f"red fruit {name}") for name in "ab"]
    verb()
    rows[0].text = "white"
    return rows[0]


def new(**more: Any) -> dict[str, Any]:
    return {"name": "new", "grape": "merlot", "code": "new"} | more


def loaded() -> Any:
    return Wine.load("Wine:1")


def changed(**values: Any) -> Any:
    found = loaded()
    for name, value in values.items():
        setattr(found, name, value)
    return found


def refused(save: Callable[[], Any]) -> Callable[[], Any]:
    def work() -> Any:
        if not inspect.iscoroutinefunction(save):
            with pytest.raises(ModelException, match="is taken"):
                save()
        return None

    return work


async def arefused(waiting: Any) -> None:
    with pytest.raises(ModelException, match="is taken"):
        await waiting


def piped(store: Connection) -> Any:
    pipe = store.pipeline()
    for number in range(20):
        Wine.create(pipeline=pipe, **new(name=f"p{number}", code=f"p{number}"))
    return pipe


# Of each verb: what is made ready first, the blocking form, the asyncio form, and the trips of either.
TABLE: dict[str, tuple[Callable[[Connection], Any], Callable[[Any], Any], Callable[[Any], Any], int]] = {
    "make": (lambda store: None, lambda it: Wine(**new()), lambda it: asyncio.sleep(0), 0),
    "create": (lambda store: None, lambda it: Wine.create(**new()), lambda it: Wine.async_create(**new()), 1),
    "replace": (
        lambda store: None,
        lambda it: Wine.create(**new(name="1", code="1")),
        lambda it: Wine.async_create(**new(name="1", code="1")),
        1,
    ),
    "save": (lambda store: Wine(**new()), lambda it: it.save(), lambda it: it.async_save(), 1),
    "save changes": (
        lambda store: changed(grape="syrah", price=5000, code="c"),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "partial save": (
        lambda store: changed(grape="syrah", price=5000),
        lambda it: it.save(update_fields=["grape", "price"]),
        lambda it: it.async_save(update_fields=["grape", "price"]),
        1,
    ),
    "partial save of nothing": (
        lambda store: loaded(),
        lambda it: it.save(update_fields=[]),
        lambda it: it.async_save(update_fields=[]),
        0,
    ),
    "key migration": (
        lambda store: changed(name="moved"),
        lambda it: it.save(migrate_key=True),
        lambda it: it.async_save(migrate_key=True),
        1,
    ),
    "delete": (lambda store: loaded(), lambda it: it.delete(), lambda it: it.async_delete(), 1),
    "unique violation": (
        lambda store: Wine(**new(code="2")),
        lambda it: refused(it.save)(),
        lambda it: arefused(it.async_save()),
        1,
    ),
    "get by key": (
        lambda store: None,
        lambda it: Wine.query.get(name="7"),
        lambda it: Wine.query.async_get(name="7"),
        1,
    ),
    "get by stored key": (lambda store: None, lambda it: Wine.load("Wine:7"), lambda it: Wine.async_load("Wine:7"), 1),
    "get by unique value": (
        lambda store: None,
        lambda it: Wine.query.get(code="7"),
        lambda it: Wine.query.async_get(code="7"),
        1,
    ),
    "get what is missing": (
        lambda store: None,
        lambda it: Wine.query.get(name="x"),
        lambda it: Wine.query.async_get(name="x"),
        1,
    ),
    "get_many of 100": (
        lambda store: [f"Wine:{number}" for number in range(100)],
        lambda it: Wine.query.get_many(it),
        lambda it: Wine.query.async_get_many(it),
        1,
    ),
    "filter on one field": (
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot").all(),
        lambda it: Wine.query.async_filter(grape="merlot"),
        1,
    ),
    "filter on two fields, 100 matches": (
        lambda store: None,
        lambda it: assert_hundred(Wine.query.filter(grape="merlot", price__gte=0).all()),
        lambda it: hundred(Wine.query.async_filter(grape="merlot", price__gte=0)),
        1,
    ),
    "filter on a partition": (
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot", stock__gt=3).all(),
        lambda it: Wine.query.async_filter(grape="merlot", stock__gt=3),
        1,
    ),
    "order and limit": (
        lambda store: None,
        lambda it: Wine.query.filter(grape="merlot", order_by="-price", limit=10).all(),
        lambda it: Wine.query.async_filter(grape="merlot", order_by="-price", limit=10),
        1,
    ),
    "all": (lambda store: None, lambda it: Wine.query.all(), lambda it: Wine.query.async_all(), 1),
    "first": (lambda store: None, lambda it: Wine.query.first(), lambda it: Wine.query.async_first(), 1),
    "count": (lambda store: None, lambda it: Wine.query.count(), lambda it: Wine.query.async_count(), 1),
    "count on two fields": (
        lambda store: None,
        lambda it: Wine.query.count(grape="merlot", price__gte=0),
        lambda it: Wine.query.async_count(grape="merlot", price__gte=0),
        1,
    ),
    "exists": (
        lambda store: None,
        lambda it: Wine.query.exists(grape="merlot"),
        lambda it: Wine.query.async_exists(grape="merlot"),
        1,
    ),
    "prefix, suffix and part of a text": (
        lambda store: None,
        lambda it: assert_hundred(Wine.query.filter(grape__startswith="mer", code__contains="").all()),
        lambda it: hundred(Wine.query.async_filter(grape__endswith="lot", name__contains="")),
        1,
    ),
    "count of a text": (
        lambda store: None,
        lambda it: Wine.query.count(code__startswith="7"),
        lambda it: Wine.query.async_count(code__startswith="7"),
        1,
    ),
    "filter through two relationships": (
        lambda store: cellars(),
        lambda it: assert_hundred([*Bottle.query.filter(cellar__house__land="it").all(), *range(95)]),
        lambda it: Bottle.query.async_filter(cellar__house__land="it"),
        1,
    ),
    "load with prefetch": (
        lambda store: cellars(),
        lambda it: [bottle.wine.name for bottle in Bottle.query.prefetch("wine", "cellar").all()],
        lambda it: Bottle.query.prefetch("wine", "cellar")._awaited(),
        1,
    ),
    "a slice": (
        lambda store: None,
        lambda it: Wine.query.order_by("price")[20:30],
        lambda it: Wine.query.filter(order_by="price", limit=30)._awaited(),
        1,
    ),
    "last of an order": (
        lambda store: None,
        lambda it: Wine.query.order_by("price").last(),
        lambda it: Wine.query.order_by("price").async_last(),
        1,
    ),
    "keys": (lambda store: None, lambda it: Wine.query.keys(), lambda it: Wine.query.async_keys(), 1),
    "raw update of 20": (
        lambda store: [f"Wine:{number}" for number in range(20)],
        lambda it: Wine.raw_update(it, grape="syrah", stock=3, price=7),
        lambda it: Wine.async_raw_update(it, grape="syrah", stock=3, price=7),
        1,
    ),
    "raw update of a partition of 20": (
        lambda store: [f"Wine:{number}" for number in range(20)],
        lambda it: Wine.raw_update(it, grape="syrah"),
        lambda it: Wine.async_raw_update(it, grape="syrah"),
        2,
    ),
    "a pipeline of 20": (piped, lambda it: it.execute(), lambda it: it.async_execute(), 1),
    "len, index and list of one query": (
        lambda store: Wine.query.filter(grape="merlot"),
        lambda it: (len(it), it[0], list(it), bool(it)),
        lambda it: it._awaited(),
        1,
    ),
    # One to see whether the text was embedded already.
    "create with a vector": (
        lambda store: None,
        lambda it: Fact.create(name="a", text="tea", body="a long text"),
        lambda it: Fact.async_create(name="a", text="tea", body="a long text"),
        2,
    ),
    "bulk_create of 20 with vectors": (
        lambda store: [Fact(name=str(number), text="tea", body=str(number)) for number in range(20)],
        lambda it: Fact.bulk_create(it),
        lambda it: Fact.async_bulk_create(it),
        2,
    ),
    "save a text and a content": (
        lambda store: fact(text="coffee", body="another"),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "load a content": (
        lambda store: fact() and Fact.load(name="a"),
        lambda it: it.body,
        lambda it: it.async_fetch("body"),
        0,
    ),
    # One to learn what has changed, one to load the rows.
    "semantic_search": (
        lambda store: fact(),
        lambda it: Fact.query.semantic_search("tea"),
        lambda it: Fact.query.async_semantic_search("tea"),
        2,
    ),
    "link": (
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.link(Pairing, "a", "b"),
        lambda it: Pairing.near.async_link(Pairing, "a", "b"),
        1,
    ),
    "strengthen": (
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.strengthen(Pairing, "a", "b"),
        lambda it: Pairing.near.async_strengthen(Pairing, "a", "b"),
        1,
    ),
    "unlink": (
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.unlink(Pairing, "a", "b"),
        lambda it: Pairing.near.async_unlink(Pairing, "a", "b"),
        1,
    ),
    "weaken_all": (
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.weaken_all(Pairing, "a"),
        lambda it: Pairing.near.async_weaken_all(Pairing, "a"),
        1,
    ),
    "get_linked": (
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.get_linked(Pairing, "a"),
        lambda it: Pairing.near.async_get_linked(Pairing, "a"),
        1,
    ),
    "propagate": (
        lambda store: Pairing.near.link(Pairing, "a", "c"),
        lambda it: Pairing.near.propagate(Pairing, ["a"]),
        lambda it: Pairing.near.async_propagate(Pairing, ["a"]),
        1,
    ),
    "save of an indexed text": (
        lambda store: tasted(lambda: None),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "keyword search": (
        lambda store: tasted(lambda: Tasting.query.keyword_search("fruit")),
        lambda it: Tasting.query.filter(name__in=["a"]).keyword_search("fruit"),
        lambda it: Tasting.query.filter(name__in=["a"]).async_keyword_search("fruit"),
        1,
    ),
    "search": (
        lambda store: tasted(lambda: BM25Field.search(Tasting, "words", "fruit")),
        lambda it: BM25Field.search(Tasting, "words", "fruit"),
        lambda it: BM25Field.async_search(Tasting, "words", "fruit"),
        1,
    ),
    "idf of two words": (
        lambda store: tasted(lambda: None),
        lambda it: BM25Field.get_idf(Tasting, "words", ["red", "x"]),
        lambda it: BM25Field.async_get_idf(Tasting, "words", ["red", "x"]),
        1,
    ),
    "fuse": (
        lambda store: tasted(lambda: None),
        lambda it: Tasting.query.fuse(words=["Tasting:a"], others=["Tasting:b"]),
        lambda it: Tasting.query.async_fuse(words=["Tasting:a"], others=["Tasting:b"]),
        1,
    ),
    "might_exist_batch": (
        lambda store: tasted(lambda: Tasting.bloom.might_exist(Tasting, "x")),
        lambda it: Tasting.bloom.might_exist_batch(Tasting, ["red", "x"]),
        lambda it: Tasting.bloom.async_might_exist_batch(Tasting, ["red", "x"]),
        1,
    ),
    "get_frequency": (
        lambda store: tasted(lambda: None),
        lambda it: Tasting.seen.get_frequency(Tasting, "red fruit"),
        lambda it: Tasting.seen.async_get_frequency(Tasting, "red fruit"),
        1,
    ),
}


# The same of a model that has what memories have.
MEMORY_TABLE: dict[str, tuple[Callable[[Connection], Any], Callable[[Any], Any], Callable[[Any], Any], int]] = {
    "save a memory": (
        lambda store: memory(),
        lambda it: it.save(),
        lambda it: it.async_save(),
        1,
    ),
    "rename a memory": (
        lambda store: renamed(memory()),
        lambda it: it.save(migrate_key=True),
        lambda it: it.async_save(migrate_key=True),
        1,
    ),
    "delete a memory": (
        lambda store: memory(),
        lambda it: it.delete(),
        lambda it: it.async_delete(),
        1,
    ),
    # Of a model that tracks reads: the answer, and the note that it was read.
    "get a tracked row": (
        lambda store: None,
        lambda it: Memory.query.get(name="1"),
        lambda it: Memory.query.async_get(name="1"),
        2,
    ),
    "get_many of 20 tracked rows": (
        lambda store: [f"Memory:{number}" for number in range(20)],
        lambda it: Memory.query.get_many(it),
        lambda it: Memory.query.async_get_many(it),
        2,
    ),
    "filter 20 tracked rows": (
        lambda store: None,
        lambda it: assert_twenty(Memory.query.filter(kind="k").all()),
        lambda it: twenty(Memory.query.async_filter(kind="k")),
        2,
    ),
    "filter tracked rows, none found": (
        lambda store: None,
        lambda it: Memory.query.filter(kind="none").all(),
        lambda it: Memory.query.async_filter(kind="none"),
        1,
    ),
    "filter tracked rows without tracking": (
        lambda store: None,
        lambda it: assert_twenty(Memory.query.no_track().filter(kind="k").all()),
        lambda it: twenty(Memory.query.no_track().async_filter(kind="k")),
        1,
    ),
    "count tracked rows": (
        lambda store: None,
        lambda it: Memory.query.count(kind="k"),
        lambda it: Memory.query.async_count(kind="k"),
        1,
    ),
    "on_read": (
        lambda store: memory(),
        lambda it: it.on_read(),
        lambda it: it.async_on_read(),
        1,
    ),
    "confirm_access": (
        lambda store: memory(),
        lambda it: it.confirm_access(),
        lambda it: it.async_confirm_access(),
        1,
    ),
    "discard_staged_access": (
        lambda store: memory(),
        lambda it: it.discard_staged_access(),
        lambda it: it.async_discard_staged_access(),
        1,
    ),
    "access_count": (lambda store: memory(), lambda it: it.access_count, lambda it: it.async_access_count(), 1),
    "last_accessed": (lambda store: memory(), lambda it: it.last_accessed, lambda it: it.async_last_accessed(), 1),
    "update_confidence": (
        lambda store: memory(),
        lambda it: ConfidenceField.update_confidence(it, "certainty", 0.9),
        lambda it: ConfidenceField.async_update_confidence(it, "certainty", 0.9),
        1,
    ),
    "get_confidence": (
        lambda store: memory(),
        lambda it: ConfidenceField.get_confidence(it, "certainty"),
        lambda it: ConfidenceField.async_get_confidence(it, "certainty"),
        1,
    ),
    "record_prediction": (
        lambda store: memory(),
        lambda it: Memory.record_prediction(it, {"a": 2}),
        lambda it: Memory.async_record_prediction(it, {"a": 2}),
        1,
    ),
    # The measure is the model's own, in Python: the prediction is read first.
    "resolve_prediction": (
        lambda store: memory(),
        lambda it: Memory.resolve_prediction(it, {"a": 2}),
        lambda it: Memory.async_resolve_prediction(it, {"a": 2}),
        2,
    ),
    "auto_resolve": (
        lambda store: memory(),
        lambda it: Memory.auto_resolve(it, "acted"),
        lambda it: Memory.async_auto_resolve(it, "acted"),
        1,
    ),
    "propose 20 rows": (
        lambda store: memories(),
        lambda it: RecallProposal.create_batch(it, partition="p"),
        lambda it: RecallProposal.async_create_batch(it, partition="p"),
        1,
    ),
    "resolve a proposal": (
        lambda store: memory(),
        lambda it: RecallProposal.resolve(it, "acted"),
        lambda it: RecallProposal.async_resolve(it, "acted"),
        1,
    ),
    "expire_stale": (
        lambda store: memory(),
        lambda it: RecallProposal.expire_stale(Memory, "p", ttl=-1),
        lambda it: RecallProposal.async_expire_stale(Memory, "p", ttl=-1),
        1,
    ),
    "touch": (lambda store: memory(), lambda it: it.touch("fresh"), lambda it: it.async_touch("fresh"), 1),
    "resolve_pressure": (
        lambda store: memory(),
        lambda it: it.resolve_pressure("urgent"),
        lambda it: it.async_resolve_pressure("urgent"),
        1,
    ),
    "strengthen_cycle": (
        lambda store: memory(),
        lambda it: it.strengthen_cycle("urgent"),
        lambda it: it.async_strengthen_cycle("urgent"),
        1,
    ),
    "weaken_cycle": (
        lambda store: memory(),
        lambda it: it.weaken_cycle("urgent"),
        lambda it: it.async_weaken_cycle("urgent"),
        1,
    ),
    "top_by_decay": (
        lambda store: Memory.query.filter(kind="k").no_track(),
        lambda it: assert_twenty(it.top_by_decay("fresh", n=100)),
        lambda it: twenty(it.async_top_by_decay("fresh", n=100)),
        1,
    ),
    "composite_score": (
        lambda store: Memory.query.filter(kind="k").no_track(),
        lambda it: assert_twenty(it.composite_score({"urgent": 1.0, "certainty": 0.5, "priority": 2}, limit=100)),
        lambda it: twenty(it.async_composite_score({"urgent": 1.0, "certainty": 0.5, "priority": 2}, limit=100)),
        1,
    ),
    "one outcome on 20 rows": (
        lambda store: memories(),
        lambda it: ObservationProtocol.on_context_used(it, {row.pk: "acted" for row in it}, outcome_id="1"),
        lambda it: ObservationProtocol.async_on_context_used(it, {row.pk: "acted" for row in it}, outcome_id="1"),
        1,
    ),
}


def recalled(store: Connection) -> Any:
    """What recipes need, after each has sent its scripts."""
    rows = [Thought.create(agent_id="a", content=f"The door is red {number}") for number in range(3)]
    it = SubconsciousMemory(Thought, "a", {"sure": 1.0}, importance_field=None)
    it.assembler.assemble({"topic": "door"}, agent_id="a", assess_quality=True)
    it.extract_memories("Another door is red.")
    crystallize([(f"{number}-0", TOLD) for number in range(6)])
    entry = PolicyEntry.query.get(agent_id="a")
    update_q_value(entry, 1.0)
    get_q_value(entry)
    return it, rows, entry


TOLD = {"agent_id": "a", "state_fingerprint": "f", "action_type": "x", "success": "1"}
RECIPE_TABLE: dict[str, tuple[Callable[[Connection], Any], Callable[[Any], Any], Callable[[Any], Any], int]] = {
    # The filter of what exists, the rankings, reads.
    "assemble": (
        recalled,
        lambda it: it[0].assembler.assemble({"topic": "door"}, agent_id="a"),
        lambda it: it[0].assembler.async_assemble({"topic": "door"}, agent_id="a"),
        3,
    ),
    # The same without reads, and the numbers that quality needs.
    "assess": (
        recalled,
        lambda it: it[0].assembler.assess({"topic": "door"}, agent_id="a"),
        lambda it: it[0].assembler.async_assess({"topic": "door"}, agent_id="a"),
        3,
    ),
    "quality of records": (
        recalled,
        lambda it: RetrievalQuality.from_records(it[1], {"topic": "door"}, {"sure": 1.0}),
        lambda it: RetrievalQuality.async_from_records(it[1], {"topic": "door"}, {"sure": 1.0}),
        2,
    ),
    "extract memories": (
        recalled,
        lambda it: it[0].extract_memories("The roof is green. The floor is blue."),
        lambda it: it[0].async_extract_memories("The roof is green. The floor is blue."),
        1,
    ),
    # Evidence; then the policy and its value, each only where there is enough.
    "evidence of a policy": (
        recalled,
        lambda it: crystallize([("1-0", {**TOLD, "action_type": "y"}), ("2-0", {**TOLD, "agent_id": "b"})]),
        lambda it: async_crystallize([("1-0", {**TOLD, "action_type": "y"}), ("2-0", {**TOLD, "agent_id": "b"})]),
        1,
    ),
    "crystallize": (
        recalled,
        lambda it: crystallize([(f"{number}-0", {**TOLD, "action_type": "y"}) for number in range(6)]),
        lambda it: async_crystallize([(f"{number}-0", {**TOLD, "action_type": "y"}) for number in range(6)]),
        3,
    ),
    "learning a value": (
        recalled,
        lambda it: update_q_value(it[2], 1.0),
        lambda it: async_update_q_value(it[2], 1.0),
        1,
    ),
    "a value": (recalled, lambda it: get_q_value(it[2]), lambda it: async_get_q_value(it[2]), 1),
}
EVERY = TABLE | MEMORY_TABLE | RECIPE_TABLE


def assert_hundred(rows: list[Any]) -> None:
    assert len(rows) == 100


async def hundred(waiting: Any) -> None:
    assert_hundred(await waiting)


def assert_twenty(rows: list[Any]) -> None:
    assert len(rows) == 20


async def twenty(waiting: Any) -> None:
    assert_twenty(await waiting)


class Thought(AccessTrackerMixin, Model):
    thought_id = AutoKeyField()
    agent_id = KeyField()
    content = Field()
    words = BM25Field(source="content")
    known = ExistenceFilter(fingerprint_fn=lambda thought: thought.content)
    sure = ConfidenceField()


def stock(verb: str = "") -> None:
    """A hundred wines, or twenty memories, and every script known to the server."""
    pipe = connection().pipeline()
    if verb in RECIPE_TABLE:
        return
    if verb in MEMORY_TABLE:
        for number in range(20):
            Memory.create(pipeline=pipe, name=str(number))
        pipe.execute()
        return
    for number in range(100):
        Wine.create(pipeline=pipe, name=str(number), grape="merlot", code=str(number), price=number, stock=number)
    pipe.execute()


@pytest.mark.parametrize("verb", EVERY)
def test_each_verb_takes_its_round_trips(store: Connection, plain: Any, verb: str):
    ready, blocking, _, trips = EVERY[verb]
    stock(verb)
    it = ready(store)
    with round_trips() as counted:
        blocking(it)
    assert counted == trips
    assert stray_entries(plain, Wine) == []


@pytest.mark.parametrize("verb", EVERY)
def test_each_async_verb_takes_the_same(store: Connection, plain: Any, verb: str):
    ready, _, waiting, trips = EVERY[verb]
    stock(verb)
    it = ready(store)

    async def work() -> int:
        with round_trips() as counted:
            await waiting(it)
        return int(counted)

    assert asyncio.run(work()) == trips
    assert stray_entries(plain, Wine) == []


@pytest.mark.parametrize("verb", EVERY)
def test_each_verb_takes_them_at_the_socket_too(proxied: Connection, proxy: Proxy, plain: Any, verb: str):
    ready, blocking, waiting, trips = EVERY[verb]
    stock(verb)
    it = ready(proxied)
    before = proxy.turns
    blocking(it)
    assert proxy.turns - before == trips
    plain.flushall()
    stock(verb)
    it = ready(proxied)

    async def work() -> int:
        await proxied.arun(ask_all([exists("warm")]))
        before = proxy.turns
        await waiting(it)
        return proxy.turns - before

    assert asyncio.run(work()) == trips


def test_reads_asked_at_once_travel_together(proxied: Connection, proxy: Proxy):
    stock()

    async def work() -> int:
        await Wine.query.async_count()
        before = proxy.turns
        rows = await asyncio.gather(*(Wine.query.async_get(name=str(number)) for number in range(100)))
        assert [row.name for row in rows] == [str(number) for number in range(100)]  # type: ignore[union-attr]
        return proxy.turns - before

    assert asyncio.run(work()) <= 2


def test_a_forgotten_script_costs_one_more_trip(proxied: Connection, proxy: Proxy, plain: Any):
    stock()
    plain.script_flush()
    before = proxy.turns
    Wine.create(**new())
    assert proxy.turns - before == 2
    assert b"Wine:new" in keyspace(plain)
