"""Providers of embeddings: batches of texts, answers that are refused, names, and packages that are not there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from math import inf, nan
from typing import Any

import pytest

from popoto import ModelException
from popoto.embeddings import AbstractEmbeddingProvider
from popoto.embeddings.clients import PerProcess
from popoto.embeddings.hashing import HashingProvider
from popoto.embeddings.local import SentenceTransformersProvider
from popoto.embeddings.ollama import OllamaProvider
from popoto.embeddings.openai import OpenAIProvider
from popoto.embeddings.voyage import VoyageProvider
from popoto.exceptions import BadEmbedding, EmbeddingError


class Told(AbstractEmbeddingProvider):
    """Answers what it is told to, and remembers its calls."""

    def __init__(self, answer: Callable[[list[str]], Any] | None = None, most: int = 3, dimensions: int = 2) -> None:
        self.answer = answer or (lambda texts: [[float(len(text)), 0.5] for text in texts])
        self.most = most
        self.told_dimensions = dimensions
        self.calls: list[tuple[list[str], str | None]] = []

    @property
    def dimensions(self) -> int:
        return self.told_dimensions

    @property
    def max_batch_size(self) -> int:
        return self.most

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        self.calls.append((texts, input_type))
        vectors: list[list[float]] = self.answer(texts)
        return vectors


def test_texts_go_in_batches_and_vectors_keep_their_order() -> None:
    provider = Told()
    texts = ["a" * number for number in range(1, 8)]
    assert provider.embed_all(texts, "document") == [[float(number), 0.5] for number in range(1, 8)]
    assert provider.calls == [(texts[:3], "document"), (texts[3:6], "document"), (texts[6:], "document")]
    assert (provider.embed_all(()), len(provider.calls)) == ([], 3)


def test_a_batch_holds_so_many_bytes_and_a_longer_text_goes_alone() -> None:
    provider = Told(most=10)
    provider.max_batch_bytes = 6
    provider.embed_all(["aaa", "éé", "b", "c" * 20, "d", "eeeee", "ffffff"])
    assert [texts for texts, _ in provider.calls] == [["aaa"], ["éé", "b"], ["c" * 20], ["d", "eeeee"], ["ffffff"]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda texts: [[1.0, 2.0]], r"Told answered 2 texts with 1 vectors"),
        (lambda texts: [[1.0, 2.0]] * 3, r"Told answered 2 texts with 3 vectors"),
        (lambda texts: [[1.0, 2.0], [1.0]], r"Told answered with a vector of 1 dimensions where 2 were expected"),
        (lambda texts: [[1.0, nan], [1.0, 2.0]], r"Told answered with a vector in which a number is not finite"),
        (lambda texts: [[1.0, 2.0], [-inf, 2.0]], r"Told answered with a vector in which a number is not finite"),
        (lambda texts: None, r"Told answered with something that is no list of vectors"),
        (lambda texts: [["x", "y"], ["x", "y"]], r"Told answered with something that is no list of vectors"),
        (lambda texts: [1.0, 2.0], r"Told answered with something that is no list of vectors"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(answer: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(BadEmbedding, match=message) as caught:
        Told(answer).embed_all(["a", "b"])
    assert isinstance(caught.value, EmbeddingError) and isinstance(caught.value, ValueError)


def test_a_failing_provider_is_named_and_its_error_is_the_cause() -> None:
    cause = KeyError("quota")

    def fail(texts: Sequence[str]) -> Any:
        raise cause

    provider = Told(fail)
    provider.model = "m-1"
    with pytest.raises(
        EmbeddingError, match=r"the embedding provider Told \(m-1\) failed: KeyError: 'quota'"
    ) as caught:
        provider.embed_all(["a"])
    assert caught.value.__cause__ is cause
    assert isinstance(caught.value, ModelException) and isinstance(caught.value, RuntimeError)


def test_only_lists_of_texts_are_embedded() -> None:
    texts: Any
    for texts in ("text", ["a", b"b"], ["a", None]):
        with pytest.raises(ModelException, match="takes a list of texts"):
            Told().embed_all(texts)
    with pytest.raises(EmbeddingError, match="max_batch_size is 0"):
        Told(most=0).embed_all(["a"])


def test_vectors_of_other_sequences_become_lists_of_floats() -> None:
    assert Told(lambda texts: ((1, 2),)).embed_all(["a"]) == [[1.0, 2.0]]


def test_a_provider_is_named_after_its_class_unless_it_says_otherwise() -> None:
    providers = [Told, VoyageProvider, OpenAIProvider, OllamaProvider, SentenceTransformersProvider, HashingProvider]
    assert [provider.name for provider in providers] == [
        "Told",
        "voyage",
        "openai",
        "ollama",
        "sentence-transformers",
        "hashing",
    ]


def test_a_forked_child_makes_a_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    client = PerProcess(lambda: made.append(os.getpid()) or len(made))
    assert (client(), client()) == (1, 1)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert (client(), client(), len(made)) == (2, 2, 2)


# Packages that are not there


@pytest.mark.parametrize(
    ("make", "name", "extra"),
    [
        (VoyageProvider, "voyageai", "voyage"),
        (OpenAIProvider, "openai", "openai"),
        (SentenceTransformersProvider, "sentence_transformers", "local"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    make: Callable[[], Any], name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{name} is not installed: pip install 'popoto\[{extra}\]'"):
        make()


def test_importing_every_provider_imports_no_package() -> None:
    heavy = "numpy voyageai openai sentence_transformers torch redis msgpack"
    program = (
        "import sys, popoto.configuration, popoto.embeddings.voyage, popoto.embeddings.openai, "
        "popoto.embeddings.ollama, popoto.embeddings.local, popoto.embeddings.hashing\n"
        f"print(*sorted(sys.modules.keys() & set('{heavy}'.split())))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split()) == ("", [])
