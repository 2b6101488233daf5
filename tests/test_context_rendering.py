"""What an assembly says: every format holds whatever is stored, and the budget counts what is said."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from memories import NOW, Aged, Memory, create_aged

from popoto import BM25Field, ContextAssembler, Field, KeyField, Model, clock
from popoto.storage import Connection


@pytest.fixture(autouse=True)
def still() -> Any:
    """The clock stands still."""
    with clock.frozen(lambda: NOW):
        yield


@pytest.mark.parametrize(
    ("most", "kept", "tokens"), [(20, 3, 18), (18, 3, 18), (17, 2, 12), (1, 1, 6), (None, 5, 30), (0, 1, 6)]
)
def test_records_beyond_the_budget_are_left_out(store: Connection, most: int | None, kept: int, tokens: int) -> None:
    create_aged(5)
    result = ContextAssembler(Aged, {"seen": 1.0}, max_tokens=most, token_counter=lambda row: 6).assemble(
        {"a": "coffee"}
    )
    assert (len(result.records), result.metadata["token_count"]) == (kept, tokens)


def test_tokens_are_those_of_what_is_rendered(store: Connection) -> None:
    """D46."""
    Memory.bulk_create([Memory(name=str(place), agent_id="a", text=f"coffee {'x' * 400}") for place in range(5)])
    assembler = ContextAssembler(Memory, {"words": 1.0}, max_tokens=400)
    result = assembler.assemble({"topic": "coffee"}, agent_id="a")
    assert (len(result.records), result.metadata["token_count"]) == (3, len(result.formatted) // 4)
    by_characters = ContextAssembler(Memory, {"words": 1.0}, max_tokens=2000, text_counter=len)
    result = by_characters.assemble({"topic": "coffee"}, agent_id="a")
    assert len(result.formatted) == result.metadata["token_count"] <= 2000


def test_a_failing_counter_fails_the_call(store: Connection) -> None:
    create_aged(1)
    with pytest.raises(ZeroDivisionError):
        ContextAssembler(Aged, {"seen": 1.0}, token_counter=lambda row: 1 // 0).assemble({"topic": "coffee"})


NASTY = 'a <b> & "c"\r\nd\x00\x0b \ufffe ]]> é'


def test_every_format_holds_whatever_is_stored(store: Connection) -> None:
    class Odd(Model):
        name = KeyField()
        ärger = Field()
        facts = Field(type=dict, default=dict)
        ratio = Field(type=float)
        nothing = Field()
        words = BM25Field(source="ärger")

    Odd.create(name=NASTY, ärger="coffee", facts={"a": [1, {"b": 2.5}]}, ratio=0.5)

    def said(form: str) -> str:
        return ContextAssembler(Odd, {}, output_format=form).assemble({"topic": "coffee"}).formatted

    assert json.loads(said("structured")) == [
        {"name": NASTY, "ärger": "coffee", "facts": {"a": [1, {"b": 2.5}]}, "ratio": 0.5}
    ]
    (record,) = ElementTree.fromstring(said("xml"))
    assert [(one.tag, one.get("name")) for one in record] == [
        ("name", None),
        ("field", "ärger"),
        ("facts", None),
        ("ratio", None),
    ]
    assert record[0].text == NASTY.replace("\x00\x0b", "\ufffd\ufffd").replace("\ufffe", "\ufffd")
    assert said("natural").splitlines()[0].startswith('1. name: a <b> & "c" d')
    assert len(said("natural").splitlines()) == 1


@pytest.mark.parametrize(("form", "empty"), [("structured", "[]"), ("xml", "<records>\n</records>"), ("natural", "")])
def test_nothing_is_said_in_every_format(store: Connection, form: str, empty: str) -> None:
    assert ContextAssembler(Aged, {"seen": 1.0}, output_format=form).assemble().formatted == empty
