"""The provider of models of sentence-transformers, which are loaded once and asked by one thread at a time."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import pytest
from packages import module

from popoto.embeddings.local import SentenceTransformersProvider
from popoto.exceptions import EmbeddingError


class Matrix(list[list[float]]):
    """As much of a numpy array as the provider uses."""

    def tolist(self) -> list[list[float]]:
        return list(self)


class OldTransformer:
    """A model of sentence-transformers 2 to 4; answers as recorded for a model of three dimensions."""

    loaded: ClassVar[list[str]] = []
    asked: ClassVar[list[tuple[str, list[str], dict[str, Any]]]] = []

    def __init__(self, name: str) -> None:
        self.loaded.append(name)

    def get_sentence_embedding_dimension(self) -> int | None:
        return 3

    def encode(self, texts: list[str], **options: Any) -> Matrix:
        return self.answer("encode", texts, options)

    def answer(self, verb: str, texts: list[str], options: dict[str, Any]) -> Matrix:
        self.asked.append((verb, texts, options))
        return Matrix([0.5, -0.25, float(len(text))] for text in texts)


class NewTransformer(OldTransformer):
    """A model of sentence-transformers 5."""

    def encode_query(self, texts: list[str], **options: Any) -> Matrix:
        return self.answer("encode_query", texts, options)

    def encode_document(self, texts: list[str], **options: Any) -> Matrix:
        return self.answer("encode_document", texts, options)

    def get_embedding_dimension(self) -> int | None:
        return 3

    def get_sentence_embedding_dimension(self) -> int | None:
        raise AssertionError("the old name was asked")


@pytest.fixture(params=[OldTransformer, NewTransformer])
def transformer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[OldTransformer]:
    monkeypatch.setattr(OldTransformer, "loaded", [])
    monkeypatch.setattr(OldTransformer, "asked", [])
    kind: type[OldTransformer] = request.param
    module(monkeypatch, "sentence_transformers", SentenceTransformer=kind)
    return kind


def test_a_local_model_is_loaded_once_and_when_it_is_needed(transformer: type[OldTransformer]) -> None:
    provider = SentenceTransformersProvider()
    assert (provider.embed([]), transformer.loaded, provider.max_batch_size) == ([], [], 256)
    assert provider.embed_all(["one", "three"], "document") == [[0.5, -0.25, 3.0], [0.5, -0.25, 5.0]]
    provider.embed(["x"], input_type="query")
    provider.embed(["y"])
    assert (transformer.loaded, provider.dimensions) == (["all-MiniLM-L6-v2"], 3)
    options = {"show_progress_bar": False, "convert_to_numpy": True}
    verbs = ["encode_document", "encode_query", "encode"] if transformer is NewTransformer else ["encode"] * 3
    assert transformer.asked == [
        (verb, texts, options) for verb, texts in zip(verbs, (["one", "three"], ["x"], ["y"]), strict=True)
    ]


def test_a_local_model_serves_one_thread_at_a_time(
    transformer: type[OldTransformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, seen = threading.Lock(), []

    def answer(self: Any, verb: str, texts: list[str], options: Any) -> Matrix:
        seen.append(inside.acquire(blocking=False))
        threading.Event().wait(0.01)
        inside.release()
        return Matrix([[0.0, 0.0, 0.0]])

    monkeypatch.setattr(OldTransformer, "answer", answer)
    provider = SentenceTransformersProvider("a-model")
    threads = [threading.Thread(target=provider.embed_all, args=(["x"], "query")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (seen, transformer.loaded) == ([True] * 6, ["a-model"])


def test_a_local_model_that_cannot_be_loaded_is_an_error(
    transformer: type[OldTransformer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, name: str) -> None:
        raise OSError(f"{name} is not a local folder and is not a valid model identifier")

    monkeypatch.setattr(OldTransformer, "__init__", fail)
    with pytest.raises(EmbeddingError, match=r"sentence-transformers \(nowhere\) failed: OSError: nowhere is not"):
        SentenceTransformersProvider("nowhere").embed(["x"])
