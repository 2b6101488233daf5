"""Generated keys: their forms, their lengths, and that those which begin with the time sort by it."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from popoto import AutoKeyField, Field, Model, ModelException, clock
from popoto.fields.auto_key_field import generators

FORMS = {
    "uuid4": r"[0-9a-f]{32}",
    "uuid7": r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}",
    "ulid": r"[0-7][0-9A-HJKMNP-TV-Z]{25}",
    "ksuid": r"[0-9A-Za-z]{27}",
}
TIMED = ["uuid7", "ulid", "ksuid"]


class Hit(Model):
    id = AutoKeyField(strategy="ulid")
    text = Field()


class Short(Model):
    id = AutoKeyField(auto_uuid_length=8)


def made(strategy: str) -> str:
    return AutoKeyField(strategy=strategy).initial()


@pytest.mark.parametrize("strategy", FORMS)
def test_keys_have_their_form_and_differ(strategy: str):
    keys = {made(strategy) for _ in range(2000)}
    assert len(keys) == 2000
    assert [key for key in keys if not re.fullmatch(FORMS[strategy], key)] == []


@pytest.mark.parametrize("strategy", TIMED)
def test_keys_that_begin_with_the_time_sort_by_it(strategy: str):
    keys = []
    for second in range(200):
        with clock.frozen(lambda second=second: 1_700_000_000 + second * 977):  # type: ignore[misc]
            keys.append(made(strategy))
    assert keys == sorted(keys)


def test_the_time_can_be_read_from_a_key(monkeypatch: pytest.MonkeyPatch):
    # The examples of the three specifications, their random bits given.
    with clock.frozen(lambda: 1_469_918_176.385):
        assert made("ulid")[:10] == "01ARYZ6S41"
    monkeypatch.setattr(generators, "urandom", lambda size: bytes.fromhex("cc318c4dc0c0c07398f9")[:size])
    with clock.frozen(lambda: 0x017F22E279B0 / 1000):
        key = uuid.UUID(made("uuid7"))
    assert (key.version, key.variant, key.int >> 80) == (7, uuid.RFC_4122, 0x017F22E279B0)
    assert key.hex.endswith("c0c0c07398f9")
    payload = bytes.fromhex("B5A1CD34B5F99D1154FB6853345C9735")
    monkeypatch.setattr(generators, "urandom", lambda size: payload[:size])
    with clock.frozen(lambda: 1_400_000_000 + 107_608_047):
        assert made("ksuid") == "0ujtsYcgvSTl8PAuAdqWYSMnLOv"


@pytest.mark.parametrize("at", [0.0, -5.0, 2.0**40])
@pytest.mark.parametrize("strategy", TIMED)
def test_a_clock_far_off_makes_keys_of_the_same_form(strategy: str, at: float):
    with clock.frozen(lambda: at):
        assert re.fullmatch(FORMS[strategy], made(strategy))


def test_rows_are_stored_and_found_by_such_keys(store: Any, plain: Any):
    rows = []
    for second in range(3):
        with clock.frozen(lambda second=second: 1_700_000_000.0 + second):  # type: ignore[misc]
            rows.append(Hit.create(text=str(second)))
    assert set(Hit.query.keys()) == {f"Hit:{row.id}".encode() for row in rows}
    assert plain.exists(f"Hit:{rows[0].id}")
    assert [row.text for row in Hit.query.order_by("id")] == ["0", "1", "2"]
    assert Hit.query.get(id=rows[1].id) == rows[1]
    # A given key of the right length is taken, as 1.x takes it.
    assert Hit.create(id="01ARYZ6S41TSV4RRFFQ69G5FAV").pk == "Hit:01ARYZ6S41TSV4RRFFQ69G5FAV"
    with pytest.raises(ModelException, match="has 3 characters, and a generated key has 26"):
        Hit(id="abc")


def test_only_random_keys_are_cut():
    assert len(Short().id) == 8
    with pytest.raises(ModelException, match="auto_uuid_length=16 cuts random digits, and strategy='ulid'"):
        AutoKeyField(auto_uuid_length=16, strategy="ulid")


@pytest.mark.parametrize("strategy", ["uuid5", "", None, "ULID"])
def test_an_unknown_strategy_names_those_there_are(strategy: Any):
    with pytest.raises(ValueError, match="is none of uuid4, ulid, ksuid, uuid7") as refusal:
        AutoKeyField(strategy=strategy)
    assert isinstance(refusal.value, ModelException)
