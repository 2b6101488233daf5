"""The provider of Voyage against recorded answers of its client."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from packages import module

from popoto.embeddings.voyage import VoyageProvider
from popoto.exceptions import EmbeddingError


class VoyageClient:
    """Answers as recorded: `embeddings` in the order of the texts."""

    made: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[dict[str, Any]]] = []
    failure: Exception | None = None

    def __init__(self, **settings: Any) -> None:
        self.made.append(settings)

    def embed(self, texts: list[str], **options: Any) -> SimpleNamespace:
        self.asked.append({"texts": texts, **options})
        if self.failure:
            raise self.failure
        dimensions = options.get("output_dimension") or (512 if options["model"] == "voyage-3-lite" else 1024)
        vectors = [[round(0.001 * number, 6)] * dimensions for number, _ in enumerate(texts)]
        return SimpleNamespace(embeddings=vectors, total_tokens=2 * len(texts))


@pytest.fixture
def voyage(monkeypatch: pytest.MonkeyPatch) -> type[VoyageClient]:
    for name, value in (("made", []), ("asked", []), ("failure", None)):
        monkeypatch.setattr(VoyageClient, name, value)
    module(monkeypatch, "voyageai", Client=VoyageClient)
    return VoyageClient


def test_voyage_sends_texts_model_and_input_type(voyage: type[VoyageClient]) -> None:
    provider = VoyageProvider(api_key="key")
    vectors = provider.embed(["one", "two"], input_type="query")
    assert voyage.made == [{"api_key": "key", "timeout": 60.0}]
    assert voyage.asked == [{"texts": ["one", "two"], "model": "voyage-3", "input_type": "query"}]
    assert vectors == [[0.0] * 1024, [0.001] * 1024]
    assert (provider.model, provider.dimensions, provider.max_batch_size) == ("voyage-3", 1024, 128)
    assert (provider.embed([]), len(voyage.asked)) == ([], 1)


def test_voyage_asks_for_dimensions_that_are_not_the_models_own(voyage: type[VoyageClient]) -> None:
    assert [len(one) for one in VoyageProvider(model="voyage-3-lite").embed_all(["a"])] == [512]
    assert [len(one) for one in VoyageProvider(model="voyage-3-large", dim=256).embed_all(["a"])] == [256]
    assert VoyageProvider(model="voyage-3-large", dim=1024).dimensions == 1024
    assert [one.get("output_dimension") for one in voyage.asked] == [None, 256]


def test_voyage_gets_no_more_texts_than_it_takes(voyage: type[VoyageClient]) -> None:
    assert len(VoyageProvider().embed_all([f"text {number}" for number in range(300)], "document")) == 300
    assert [len(one["texts"]) for one in voyage.asked] == [128, 128, 44]
    VoyageProvider().embed_all(["x" * 60_000, "y" * 60_000])
    assert [len(one["texts"]) for one in voyage.asked[3:]] == [1, 1]


def test_an_error_of_voyage_is_the_cause(voyage: type[VoyageClient], monkeypatch: pytest.MonkeyPatch) -> None:
    provider = VoyageProvider()
    monkeypatch.setattr(VoyageClient, "failure", TimeoutError("60 s"))
    with pytest.raises(EmbeddingError, match=r"voyage \(voyage-3\) failed: TimeoutError: 60 s") as caught:
        provider.embed(["one"])
    assert isinstance(caught.value.__cause__, TimeoutError)
