"""Conditions as values: `Q(field=value)` and `Model.field > value`, combined with `&`, `|` and `~`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal


class Q:
    """Keywords of a filter as a value; all of them must hold, an empty one holds for every row.

    `one & other`, `one | other` and `~one` combine them.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.kind: Literal["leaf", "and", "or", "not"] = "leaf"
        self.keywords: Mapping[str, Any] = MappingProxyType(kwargs)
        self.branches: tuple[Q, ...] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "keywords": dict(self.keywords)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__ |= {**state, "keywords": MappingProxyType(state["keywords"])}

    @classmethod
    def _joined(cls, kind: Literal["and", "or", "not"], *branches: Any) -> Q:
        for branch in branches:
            if not isinstance(branch, Q):
                raise TypeError(f"conditions combine with conditions, not with {branch!r}: write Q(field=value)")
        joined = CombinedExpression()
        joined.kind = kind
        joined.branches = branches
        return joined

    def __and__(self, other: Any) -> Q:
        return self._joined("and", self, other)

    def __or__(self, other: Any) -> Q:
        return self._joined("or", self, other)

    def __invert__(self) -> Q:
        return self._joined("not", self)

    def __bool__(self) -> bool:
        raise TypeError("a condition has no truth value: combine conditions with & | ~, and compare a row's own values")

    def __repr__(self) -> str:
        if self.kind == "leaf":
            return f"Q({', '.join(f'{name}={value!r}' for name, value in self.keywords.items())})"
        if self.kind == "not":
            return f"~{self.branches[0]!r}"
        sign = " & " if self.kind == "and" else " | "
        return "(" + sign.join(map(repr, self.branches)) + ")"


class CombinedExpression(Q):
    """Conditions that were combined."""


class Expression(Q):
    """A comparison of a field, as `Model.field > value` makes it."""
