"""The provider of OpenAI against recorded answers of its client."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from packages import module

from popoto.embeddings.openai import OpenAIProvider
from popoto.exceptions import EmbeddingError

# The data of a recorded answer; the service may give it in any order, `index` tells which text is meant.
OPENAI_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}


class OpenAIClient:
    """Answers as recorded, last text first."""

    made: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, **settings: Any) -> None:
        if settings["api_key"] is None:
            raise ValueError("The api_key client option must be set")
        self.made.append(settings)
        self.embeddings = SimpleNamespace(create=self.create)

    def create(self, **question: Any) -> SimpleNamespace:
        self.asked.append(question)
        dimensions = question.get("dimensions", OPENAI_DIMENSIONS[question["model"]])
        data = [
            SimpleNamespace(index=number, object="embedding", embedding=[float(number)] * dimensions)
            for number, _ in enumerate(question["input"])
        ]
        return SimpleNamespace(data=data[::-1], model=question["model"], object="list")


@pytest.fixture
def openai(monkeypatch: pytest.MonkeyPatch) -> type[OpenAIClient]:
    monkeypatch.setattr(OpenAIClient, "made", [])
    monkeypatch.setattr(OpenAIClient, "asked", [])
    module(monkeypatch, "openai", OpenAI=OpenAIClient)
    return OpenAIClient


def test_openai_sends_texts_and_model_and_orders_the_answer(openai: type[OpenAIClient]) -> None:
    provider = OpenAIProvider(api_key="key")
    vectors = provider.embed(["one", "two", "three"], input_type="query")
    assert openai.made == [{"api_key": "key", "timeout": 60.0}]
    assert openai.asked == [{"input": ["one", "two", "three"], "model": "text-embedding-3-small"}]
    assert [(vector[0], len(vector)) for vector in vectors] == [(0.0, 1536), (1.0, 1536), (2.0, 1536)]
    assert (provider.dimensions, provider.max_batch_size, provider.embed([])) == (1536, 2048, [])


@pytest.mark.parametrize(
    ("model", "dim", "sent"),
    [
        ("text-embedding-3-small", 1536, None),
        ("text-embedding-3-small", 256, 256),
        ("text-embedding-3-large", 3072, None),
        ("text-embedding-3-large", 1536, 1536),
    ],
)
def test_openai_is_asked_for_dimensions_that_are_not_the_models_own(
    model: str, dim: int, sent: int | None, openai: type[OpenAIClient]
) -> None:
    vectors = OpenAIProvider(api_key="key", model=model, dim=dim).embed_all(["one"])
    assert (len(vectors[0]), openai.asked[0].get("dimensions")) == (dim, sent)


def test_openai_gets_no_more_than_its_tokens_allow(openai: type[OpenAIClient]) -> None:
    OpenAIProvider(api_key="key", dim=8).embed_all(["x" * 1000] * 700)
    assert [len(one["input"]) for one in openai.asked] == [300, 300, 100]


def test_a_missing_key_is_an_error_when_the_provider_is_made(openai: type[OpenAIClient]) -> None:
    with pytest.raises(EmbeddingError, match=r"openai \(text-embedding-3-small\) failed: ValueError: The api_key"):
        OpenAIProvider()
