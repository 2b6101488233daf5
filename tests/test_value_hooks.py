"""Fields of one's own say which values they take, and what is saved of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from popoto import AutoKeyField, DatetimeField, Field, IntField, KeyField, Model, ModelException


def test_is_valid_refuses_values(fake: Any):
    class Even(IntField):
        @classmethod
        def is_valid(cls, field, value, null_check=True, **kwargs):
            if not super().is_valid(field, value, null_check=null_check, **kwargs):
                return False
            return value is None or value % 2 == 0

    class Pair(Model):
        name = KeyField()
        count = Even(null=False)

    with pytest.raises(ModelException, match=r"Pair\.count = 3 is refused by Even\.is_valid"):
        Pair(name="a", count="3")
    row = Pair(name="a", count=4)
    row.save()
    row.count = 5
    assert row.is_valid() is False
    with pytest.raises(ModelException, match="refused by Even"):
        row.save()
    with pytest.raises(ModelException, match="refused by Even"):
        Pair.raw_update(["Pair:a"], count=7)
    assert Pair.load(name="a").count == 4  # type: ignore[union-attr]
    assert [Even.is_valid(Pair.count, value) for value in (2, "2.5", None)] == [True, False, False]
    assert Even.is_valid(Pair.count, None, null_check=False)


def test_format_value_pre_save_gives_what_is_saved(store: Any, plain: Any):
    class Lower(Field):
        def format_value_pre_save(self, value, skip_auto_now=False):
            return value.lower()

    class Later(DatetimeField):
        def format_value_pre_save(self, value, skip_auto_now=False):
            return value.replace(microsecond=0)

    class Tag(Model):
        id = AutoKeyField()
        text = Lower()
        at = Later()

    row = Tag.create(text="ABC", at=datetime(2024, 1, 2, 3, 4, 5, 6))
    assert plain.hget(row.pk, "text") == b"\xa3abc"
    assert (row.text, row.at.microsecond) == ("abc", 0)
