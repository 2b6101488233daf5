"""Clusters, sentinels and TLS: the URLs that name more than one plain server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from deployments import CERTIFICATES, TLSFront, cluster, sentinel
from servers import Servers

from popoto import (
    AccessTrackerMixin,
    BackendError,
    BM25Field,
    ConfidenceField,
    ContextAssembler,
    CoOccurrenceField,
    CrossSlot,
    DecayingSortedField,
    ExistenceFilter,
    Field,
    FrequencySketch,
    IndexedField,
    KeyField,
    Model,
    ModelException,
    OutcomeUnknown,
    Relationship,
    SortedField,
    Unavailable,
    UniqueField,
    round_trips,
    using,
)
from popoto.recipes.policy_cache import crystallize, get_q_value, update_q_value
from popoto.storage import Connection, ask, ask_all
from popoto.storage.commands.keys import delete
from popoto.storage.commands.sets import sadd, sinter

pytestmark = pytest.mark.server


class Plane(Model):
    name = KeyField()
    maker = IndexedField()
    tail = UniqueField()
    seats = SortedField(type=int, default=0, partition_by="maker")


class Memory(AccessTrackerMixin, Model):
    name = KeyField()
    agent_id = KeyField()
    text = Field()
    place = SortedField(type=int, partition_by="agent_id")
    words = BM25Field(source="text")
    seen = DecayingSortedField(partition_by="agent_id")
    sure = ConfidenceField(partition_by="agent_id")
    linked = CoOccurrenceField()
    known = ExistenceFilter(fingerprint_fn=lambda row: row.text)


class Pilot(Model):
    name = KeyField()


class Wing(Model):
    number = KeyField(type=int)
    plane = Relationship(model=Plane)
    pilot = Relationship(model=Pilot)

    class Meta:
        hash_tag = "Plane"


class Report(Model):
    name = KeyField()
    maker = IndexedField()
    text = Field(max_length=None)
    words = BM25Field(source="text")
    bloom = ExistenceFilter(fingerprint_fn=lambda report: report.text)
    seen = FrequencySketch(fingerprint_fn=lambda report: report.text)


def check_reports() -> None:
    """Texts are ranked, known and counted, also after a rebuild and under other names."""
    for number in range(300):
        Report.create(name=f"r{number}", maker="ab"[number % 2], text=f"engine {'trouble' if number == 7 else 'fine'}")
    for _ in range(2):
        found = Report.query.filter(maker="b").keyword_search("engine trouble", limit=2)
        assert [row.name for row in found] == ["r7", "r1"]
        assert Report.bloom.might_exist_batch(Report, ["trouble", "absent"]) == {"trouble": True, "absent": False}
        assert (Report.seen.get_frequency(Report, "engine"), Report.seen.get_frequency(Report, "trouble")) == (300, 1)
        assert [row.name for row in Report.query.fuse(some=["Report:r2"], others=["Report:r3"], k=1)] == ["r2", "r3"]
        assert Report.rebuild_indexes() == 300
    assert Report.check_indexes()["total"] == 0
    assert BM25Field.search(Report, "words", "trouble") != []
    Report.delete_all()


@pytest.fixture(scope="module")
def nodes(servers: Servers) -> list[int]:
    return cluster(servers)


@pytest.fixture(params=["redis", "valkey"])
def clustered(request: pytest.FixtureRequest, nodes: list[int]) -> Iterator[Connection]:
    store = Connection(f"{request.param}+cluster://127.0.0.1:{nodes[0]},127.0.0.1:{nodes[1]}")
    with using(store):
        yield store
        Plane.delete_all()
        Wing.delete_all()
        Pilot.delete_all()
    store.close()
    # What a filter has taken in stays when its rows go.
    for port in nodes:
        with redis.Redis(port=port) as node:
            node.flushall()


def test_texts_are_searched_on_a_cluster(clustered: Connection):
    check_reports()


def test_texts_are_searched_in_a_namespace(servers: Servers):
    store = Connection(servers.url("redis") + "?namespace=space")
    with using(store):
        check_reports()
        keys = store.native.keys("*$BM25*") + store.native.keys("*$EF*") + store.native.keys("*$FS*")
        assert {key.partition(b":")[0] for key in keys} == {b"space"}
    store.close()


def check_recipes() -> None:
    """A context with everything that a memory may have, and a policy."""
    rows = [Memory.create(name=name, agent_id="a", text=text, place=place) for place, (name, text) in enumerate(SAID)]
    Memory._meta.fields["linked"].link(Memory, rows[0].pk, rows[2].pk, 1.0)
    assembler = ContextAssembler(Memory, {"seen": 1.0, "sure": 1.0}, max_items=4, neighbours="place", suppress=True)
    result = assembler.assemble({"topic": "coffee"}, agent_id="a", assess_quality=True)
    assert result.records[0].name == "order"
    assert ("linked", 1) in [(one.signal, round(2 * one.raw)) for hit in result.why for one in hit.parts]
    assert result.metadata["quality"].avg_confidence == 0.5
    told = {"state_fingerprint": "f", "action_type": "x", "success": "1"}
    (made,) = crystallize([(f"{number}-0", told) for number in range(6)])
    update_q_value(made, 1.0)
    assert round(get_q_value(made) or 0.0, 3) == 0.649


SAID = [("order", "a coffee order"), ("tea", "tea in the evening"), ("oats", "oat milk"), ("door", "a red door")]


def test_recipes_work_on_a_cluster(clustered: Connection):
    check_recipes()


def test_recipes_work_in_a_namespace(servers: Servers):
    store = Connection(servers.url("redis") + "?namespace=space")
    # Other tests have left theirs on this server.
    store.native.flushall()
    with using(store):
        check_recipes()
        strays = [key for key in store.native.keys("*") if not key.startswith(b"space:")]
        store.native.flushall()
    store.close()
    assert strays == []


def every_key(nodes: list[int]) -> list[bytes]:
    keys: list[bytes] = []
    for port in nodes:
        with redis.Redis(port=port) as node:
            keys += node.keys("*")
    return sorted(keys)


def lives() -> None:
    """A model's life; every verb one round trip."""
    with round_trips() as trips:
        plane = Plane.create(name="a:b", maker="x", tail="t1", seats=3)
        plane.maker = "y"
        plane.save()
        plane.name = "c"
        plane.save(migrate_key=True)
    assert trips == 3
    assert [one.seats for one in Plane.query.filter(maker="y", seats__gte=3)] == [3]
    assert (Plane.query.count(maker="x"), Plane.query.count(tail="t1")) == (0, 1)
    with pytest.raises(ModelException, match="is taken"):
        Plane.create(name="d", tail="t1")
    assert Plane.check_indexes()["total"] == 0
    assert Plane.rebuild_indexes() == 1
    assert plane.delete() is True


async def alives() -> None:
    await Plane.async_create(name="async", maker="x", tail="t2", seats=1)
    found = await Plane.query.filter(maker="x", seats=1)
    assert [one.name for one in found] == ["async"]
    assert await found[0].async_delete() is True


def test_a_models_keys_share_one_slot_and_models_spread(clustered: Connection, nodes: list[int]) -> None:
    Plane.create(name="1", maker="m", tail="t")
    Pilot.create(name="2")
    assert every_key(nodes) == sorted(
        [
            b"{Plane}$Class:Plane",
            b"{Plane}$KeyF:Plane:name:1",
            b"{Plane}$IndexF:Plane:maker:m",
            b"{Plane}$UniquF:Plane:tail:t",
            b"{Plane}$SortF:Plane:seats:m",
            b"{Plane}$Vals:Plane",
            b"{Plane}$Vals:Plane:maker",
            b"{Plane}$Vals:Plane:tail",
            b"{Plane}Plane:1",
            b"{Pilot}$Class:Pilot",
            b"{Pilot}$KeyF:Pilot:name:2",
            b"{Pilot}Pilot:2",
        ]
    )


def test_a_row_whose_key_is_spelled_anew_keeps_its_slot(clustered: Connection, nodes: list[int]) -> None:
    Plane.create(name="x", maker="None", tail="t")
    clustered.native.rename("{Plane}Plane:x", "{Plane}Plane:None")
    clustered.native.hset("{Plane}Plane:None", "name", b"\xa4None")
    assert Plane.rebuild_indexes() == 1
    assert every_key(nodes) == sorted(
        [
            b"{Plane}$Class:Plane",
            b"{Plane}$KeyF:Plane:name:/None",
            b"{Plane}$IndexF:Plane:maker:/None",
            b"{Plane}$UniquF:Plane:tail:t",
            b"{Plane}$SortF:Plane:seats:/None",
            b"{Plane}$Vals:Plane",
            b"{Plane}$Vals:Plane:maker",
            b"{Plane}$Vals:Plane:tail",
            b"{Plane}Plane:/None",
        ]
    )
    clustered.native.rename("{Plane}Plane:/None", "{Plane}Plane:None")
    Plane.create(name="None", maker="m", tail="u")
    assert Plane(name="None").delete()
    assert not [key for key in every_key(nodes) if key.startswith(b"{Plane}Plane:")]


def test_a_model_lives_on_a_cluster(clustered: Connection, nodes: list[int]) -> None:
    lives()
    asyncio.run(alives())
    assert every_key(nodes) == []


def test_only_models_of_one_slot_are_read_by_one_script(clustered: Connection) -> None:
    plane, pilot = Plane.create(name="1", maker="m:n", tail="t"), Pilot.create(name="ann")
    Wing.bulk_create([Wing(number=number, plane=plane, pilot=pilot) for number in range(3)])
    with round_trips() as trips:
        found = Wing.query.filter(plane__maker__startswith="m:").prefetch("plane").all()
        assert [wing.plane.tail for wing in found] == ["t", "t", "t"]
    assert trips == 1
    with round_trips() as trips:
        found = Wing.query.filter(pilot__name="ann").prefetch("pilot").all()
        assert [wing.pilot.name for wing in found] == ["ann", "ann", "ann"]
    assert trips == 3
    assert Plane.query.count(tail__contains="") == 1
    Plane.rebuild_indexes()
    assert Plane.query.count(maker__endswith=":n") == 1
    assert Plane.check_indexes()["total"] == 0


def test_a_step_over_two_slots_is_refused_before_anything_is_sent(clustered: Connection) -> None:
    with round_trips() as trips, pytest.raises(CrossSlot, match="hash tag"):
        clustered.run(ask(sinter("{a}one", "{b}two")))
    assert trips == 1  # counted when asked; the wire was not used


def test_operations_wait_in_our_pipeline_and_a_cluster_clients_is_refused(clustered: Connection) -> None:
    pipeline = clustered.pipeline()
    Plane.create(pipeline=pipeline, name="1", maker="m", tail="t")
    assert (Plane.query.count(), len(pipeline.execute()), Plane.query.count()) == (0, 1, 1)
    with pytest.raises(BackendError, match="no pipeline that operations can wait in"):
        Plane.create(pipeline=clustered.native.pipeline(), name="2", maker="m", tail="u")


def test_a_batch_that_stops_between_nodes_has_an_unknown_outcome(
    clustered: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = clustered.backend.wire  # type: ignore[attr-defined]
    send, sent = wire._send_group, []

    def dying(argvs: Any) -> Any:
        if sent:
            raise Unavailable("this node is gone")
        sent.append(argvs)
        return send(argvs)

    assert clustered.info.cluster
    monkeypatch.setattr(wire, "_send_group", dying)
    with pytest.raises(OutcomeUnknown, match="other nodes"):
        clustered.run(ask_all([sadd("{a}half", "1"), sadd("{b}half", "1")]))
    monkeypatch.undo()
    assert clustered.run(ask_all([delete("{a}half"), delete("{b}half")])) == [1, 0]


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_the_suite_conforms_on_a_cluster(scheme: str, nodes: list[int]) -> None:
    command = [sys.executable, "-m", "popoto_conformance", f"{scheme}+cluster://127.0.0.1:{nodes[0]}", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert "CONFORMS to protocol" in done.stdout and done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_a_sentinel_tells_where_the_primary_is(scheme: str, servers: Servers) -> None:
    port = sentinel(servers, servers.port("valkey"))
    with using(f"{scheme}+sentinel://127.0.0.1:{port}/service/9"):
        lives()
        asyncio.run(alives())


@pytest.mark.parametrize("scheme", ["rediss", "valkeys", "redis+tls", "valkey+tls"])
def test_a_model_lives_behind_tls(scheme: str, servers: Servers) -> None:
    front = TLSFront(servers.port("valkey"))
    try:
        with using(f"{scheme}://localhost:{front.port}/9?ssl_ca_certs={CERTIFICATES}/localhost.pem"):
            lives()
            asyncio.run(alives())
    finally:
        front.close()


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_an_unknown_certificate_is_refused(scheme: str, servers: Servers) -> None:
    front = TLSFront(servers.port("valkey"))
    try:
        with using(f"{scheme}://:secret@localhost:{front.port}"), pytest.raises(Unavailable) as caught:
            Pilot.create(name="x")
        assert "secret" not in str(caught.value)
    finally:
        front.close()
