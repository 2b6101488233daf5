"""Packages that need not be installed for the tests: a module stands in their place."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest


def module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> ModuleType:
    """Put a module of this name in the place of the package."""
    made = ModuleType(name)
    vars(made).update(contents)
    monkeypatch.setitem(sys.modules, name, made)
    return made
