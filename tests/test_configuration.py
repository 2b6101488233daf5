"""popoto.configure takes providers and stores, and refuses another kind."""

from __future__ import annotations

from typing import Any

import pytest

import popoto
from popoto import ModelException
from popoto.configuration import Configuration, configuration
from popoto.embeddings.hashing import HashingProvider
from popoto.stores import AbstractContentStore, FilesystemStore


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*Configuration.__slots__, "content_path"):
        monkeypatch.setattr(configuration, name, None)


def test_configure_takes_providers_and_stores(unset: None) -> None:
    provider, store = HashingProvider(), FilesystemStore()
    popoto.configure(embedding_provider=provider, content_store=store, content_path="texts")
    assert (configuration.embedding_provider, configuration.content_store) == (provider, store)
    assert configuration.content_path == "texts"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"embedding_provider": "voyage"}, r"configure\(embedding_provider='voyage'\) is a str: give a provider"),
        ({"embedding_provider": HashingProvider}, r"names a class: give an instance, HashingProvider\(\)"),
        ({"content_store": "filesystem"}, r"configure\(content_store='filesystem'\) is a str: give a store"),
        ({"content_store": AbstractContentStore}, r"names a class: give an instance"),
        ({"content_path": b"texts"}, r"configure\(content_path=b'texts'\) is a bytes: give a folder's path"),
    ],
)
def test_configure_refuses_another_kind_and_sets_nothing(wrong: dict[str, Any], message: str, unset: None) -> None:
    with pytest.raises(ModelException, match=message):
        popoto.configure(**{"embedding_provider": HashingProvider(), "content_path": "set", **wrong})
    assert (configuration.embedding_provider, configuration.content_path) == (None, None)
