"""DataFrameField: a frame comes back as it is or is refused, and nothing that is stored is opened."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import msgpack
import pandas
import pytest

import popoto
from popoto import DataFrameField, DictField, KeyField, Model, ModelException, QueryException, round_trips
from popoto.fields import dataframe_field


class Study(Model):
    name = KeyField()
    frame = DataFrameField()


def framed(text: Any, **more: Any) -> bytes:
    packed: bytes = msgpack.packb({"__dataframe__": True, "as_encodable": text, **more})
    return packed


def stored(plain: Any, raw: bytes) -> Any:
    plain.hset("Study:a", mapping={"name": b"\xa1a", "frame": raw})
    row = Study.load(name="a")
    assert row is not None
    return row.frame


FRAMES = {
    "numbers": pandas.DataFrame({"a": [1, -2, 2**53 + 1], "b": [0.1 + 0.2, 1e-320, -0.0]}),
    "texts": pandas.DataFrame({"t": ["x", "é\n\0", ""], "u": [True, False, True]}),
    "missing": pandas.DataFrame({"a": [1.5, None], "t": ["x", None], "o": pandas.Series([None, "y"], dtype=object)}),
    "all missing": pandas.DataFrame({"a": pandas.Series([None, None], dtype="float64")}),
    "empty": pandas.DataFrame(),
    "no rows": pandas.DataFrame({"a": pandas.Series([], dtype="int32"), "t": pandas.Series([], dtype="str")}),
    "no columns": pandas.DataFrame(columns=[]),
    "small types": pandas.DataFrame(
        {"i": pandas.Series([1], dtype="int8"), "f": pandas.Series([0.1], dtype="float32")}
    ),
    "nullable": pandas.DataFrame({"i": pandas.array([1, None], dtype="Int64"), "b": pandas.array([True, None])}),
    "moments": pandas.DataFrame({"at": pandas.to_datetime(["2024-01-02T03:04:05.000006", None])}),
    "nanoseconds": pandas.DataFrame({"at": pandas.to_datetime(["2024-01-02T03:04:05.000000007"])}),
    "labels": pandas.DataFrame({"a": [1, 2]}, index=["x", "y"]),
    "numbered": pandas.DataFrame({0: [1, 2], 5: [3, 4]}, index=[7, -3]),
    "mixed cells": pandas.DataFrame({"o": pandas.Series([1, "x", 2.5, True, None], dtype=object)}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back_as_it_is(store: Any, plain: Any, name: str):
    frame = FRAMES[name]
    with round_trips() as trips:
        Study.create(name="a", frame=frame)
        found = Study.load(name="a")
    assert found is not None
    pandas.testing.assert_frame_equal(found.frame, frame, check_index_type=False, check_column_type=False)
    assert trips == 2
    value = msgpack.unpackb(plain.hget("Study:a", "frame"))
    assert list(value)[:2] == ["__dataframe__", "as_encodable"]
    assert value["__dataframe__"] is True


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pandas.DataFrame({"a": [1]}, index=pandas.Index([1], name="id")), "would not come back"),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), "would not come back"),
        (pandas.DataFrame({"a": [1, 2]}, index=[0, 0]), "would not come back"),
        (pandas.DataFrame({"a": [1]}, index=["0"]), "would not come back"),
        (pandas.DataFrame({"a": [1]}, index=[0.5]), "the label 0.5 is neither a text nor a whole number"),
        (pandas.DataFrame({"a": [float("inf")]}), "can't be stored"),
        (pandas.DataFrame({"a": pandas.Categorical(["x"])}), "column 'a' has the type category"),
        (pandas.DataFrame({"a": pandas.to_datetime(["2024-01-02T00:00:00Z"])}), r"has the type datetime64\[us, UTC\]"),
        (pandas.DataFrame({"a": [object()]}), "can't be stored"),
        (pandas.DataFrame({"a": [(1, 2)]}), "would not come back"),
        ({"a": [1]}, "this is no pandas.DataFrame"),
    ],
)
def test_what_would_be_lost_is_refused_before_anything_is_written(fake: Any, plain: Any, frame: Any, message: str):
    with pytest.raises(ModelException, match=rf"Study\.frame = .*{message}"):
        Study.create(name="a", frame=frame)
    assert not plain.exists("Study:a")


def test_each_instance_has_a_frame_of_its_own(fake: Any):
    shared = pandas.DataFrame({"a": [1]})

    class Ready(Model):
        name = KeyField()
        empty = DataFrameField()
        given = DataFrameField(default=shared)
        made = DataFrameField(default=lambda: pandas.DataFrame({"b": [2]}))

    one, other = Ready(name="a"), Ready(name="b")
    one.empty["x"] = [1]
    one.given.loc[0, "a"] = 9
    assert (other.empty.empty, other.given.loc[0, "a"], shared.loc[0, "a"]) == (True, 1, 1)
    assert other.made.loc[0, "b"] == 2


def test_a_change_in_place_is_saved_and_nothing_else(store: Any, plain: Any):
    row = Study.create(name="a", frame=FRAMES["numbers"].copy())
    before = plain.hget("Study:a", "frame")
    row.frame.loc[0, "a"] = 7
    row.save()
    assert plain.hget("Study:a", "frame") != before
    found = Study.load(name="a")
    assert found is not None
    assert found.frame.loc[0, "a"] == 7
    plain.hset("Study:a", "frame", b"\xc0")
    # Looked at, and not changed.
    found.save()
    assert plain.hget("Study:a", "frame") == b"\xc0"
    assert Study.load(name="a").frame is None  # type: ignore[union-attr]


def test_filters_compare_frames(store: Any):
    for name in ("numbers", "labels"):
        Study.create(name=name, frame=FRAMES[name].copy())
    Study.create(name="none", frame=None)
    assert [row.name for row in Study.query.filter(frame=FRAMES["labels"])] == ["labels"]
    assert [row.name for row in Study.query.filter(frame__isnull=True)] == ["none"]
    assert [row.name for row in Study.query.filter(frame=None)] == ["none"]
    with pytest.raises(QueryException, match=r"no pandas\.DataFrame"):
        Study.query.filter(frame=3)
    with pytest.raises(QueryException, match="no order"):
        Study.query.order_by("frame")


def test_a_frame_of_1x_is_read(store: Any, plain: Any):
    frame = stored(plain, framed('{"a":{"0":1,"1":2},"b":{"0":"x","1":null}}'))
    assert (frame["a"].tolist(), list(frame.index), frame["b"].isna().tolist()) == ([1, 2], [0, 1], [False, True])
    assert stored(plain, framed("{}")).empty
    assert stored(plain, msgpack.packb({"as_encodable": '{"a":{"x":1}}', "__dataframe__": True})).index.tolist() == [
        "x"
    ]
    row = Study.load(name="a")
    assert row is not None
    row.frame = row.frame.assign(b=2)
    row.save()
    assert stored(plain, plain.hget("Study:a", "frame"))["b"].tolist() == [2]


def test_nothing_that_is_stored_is_opened(store: Any, plain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # D14
    secret = tmp_path / "secret.json"
    secret.write_text('{"a":{"0":"secret"}}', encoding="utf-8")

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("opened")

    for text in (str(secret), secret.as_uri(), "http://127.0.0.1:1/x.json", "nothing", "[1]", '{"a":1}', ""):
        with monkeypatch.context() as patch:
            patch.setattr(builtins, "open", refuse)
            with pytest.raises(ModelException, match="the stored value of 'frame' cannot be read"):
                stored(plain, framed(text))


@pytest.mark.parametrize(
    "raw",
    [
        framed('{"a":{"0":1}}', dtypes=["category"]),
        framed('{"a":{"0":1}}', dtypes=["int64", "int64"]),
        framed('{"a":{"0":"x"}}', dtypes=["int64"]),
        framed('{"a":{"0":1}}', dtypes="int64"),
        framed(None),
        b"\x05",
        b"\xc1",
        msgpack.packb({"__dataframe__": 1, "as_encodable": "{}"}),
    ],
)
def test_what_is_no_frame_is_named_and_hides_nothing_else(fake: Any, plain: Any, raw: bytes):
    with pytest.raises(ModelException, match="Study 'Study:a': the stored value of 'frame' cannot be read"):
        stored(plain, raw)
    row = Study.load(name="a")
    assert row is not None
    assert (row.name, row.delete()) == ("a", True)


def test_a_dictionary_that_looks_like_a_frame_stays_one(store: Any):
    # D14
    class Plain(Model):
        name = KeyField()
        data = DictField()

    value = {"__dataframe__": True, "as_encodable": "/etc/hostname"}
    Plain.create(name="a", data=value)
    assert Plain.load(name="a").data == value  # type: ignore[union-attr]


@pytest.mark.parametrize("option", ["indexed", "unique", "max_length", "type"])
def test_other_options_are_refused(option: str):
    with pytest.raises(ModelException, match=f"no option '{option}'; there are null and default"):
        DataFrameField(**{option: True})


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ModelException, match=r"needs pandas: pip install 'popoto\[dataframe\]'"):
        DataFrameField()
    assert popoto.DataFrameField is dataframe_field.DataFrameField
