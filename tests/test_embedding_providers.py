"""Providers of embeddings against recorded exchanges: what is sent, what is made of the answer, and what goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import fsum, hypot, inf, nan
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

import popoto
from popoto import ModelException
from popoto.configuration import Configuration, configuration
from popoto.embeddings import AbstractEmbeddingProvider
from popoto.embeddings.clients import PerProcess
from popoto.embeddings.hashing import HashingProvider
from popoto.embeddings.local import SentenceTransformersProvider
from popoto.embeddings.ollama import OllamaProvider
from popoto.embeddings.openai import OpenAIProvider
from popoto.embeddings.voyage import VoyageProvider
from popoto.exceptions import BadEmbedding, EmbeddingError
from popoto.stores import AbstractContentStore, FilesystemStore


def module(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> ModuleType:
    """Put a module of this name in the place of the package."""
    made = ModuleType(name)
    vars(made).update(contents)
    monkeypatch.setitem(sys.modules, name, made)
    return made


# embed_all


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


# Voyage


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


# OpenAI

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


# Ollama


class Ollama(ThreadingHTTPServer):
    """A server on the loopback address that keeps requests and gives recorded answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OllamaHandler)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[tuple[int, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class OllamaHandler(BaseHTTPRequestHandler):
    server: Ollama

    def do_POST(self) -> None:
        question = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((f"{self.path} {self.headers['Content-Type']}", json.loads(question)))
        status, body = self.server.answers.pop(0)
        if status == 0:
            return  # hang up without an answer
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *words: Any) -> None:
        pass


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ollama]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Ollama() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


RECORDED = (
    b'{"model":"nomic-embed-text","embeddings":[[0.010071029,-0.0017594862,0.05007221],'
    b'[-0.0098027,0.06042136,0.025257144]],"total_duration":14143917,"load_duration":1019500,"prompt_eval_count":8}'
)
VECTORS = [[0.010071029, -0.0017594862, 0.05007221], [-0.0098027, 0.06042136, 0.025257144]]


def test_ollama_is_asked_at_api_embed_and_tells_its_dimensions(ollama: Ollama) -> None:
    provider = OllamaProvider(ollama.url + "/")
    with pytest.raises(RuntimeError, match=r"ollama \(nomic-embed-text\) tells its dimensions with its first answer"):
        _ = provider.dimensions
    ollama.answers = [(200, RECORDED)]
    assert provider.embed(["why is the sky blue?", "gras"], input_type="query") == VECTORS
    assert ollama.asked == [
        ("/api/embed application/json", {"model": "nomic-embed-text", "input": ["why is the sky blue?", "gras"]})
    ]
    assert (provider.dimensions, provider.max_batch_size, provider.embed([])) == (3, 32, [])


def test_ollama_is_asked_for_the_dimensions_that_were_given(ollama: Ollama) -> None:
    ollama.answers = [(200, RECORDED), (200, RECORDED)]
    provider = OllamaProvider(ollama.url, model="embeddinggemma", dim=3)
    assert (provider.dimensions, provider.embed_all(["a", "é"])) == (3, VECTORS)
    assert ollama.asked[0][1] == {"model": "embeddinggemma", "input": ["a", "é"], "dimensions": 3}
    with pytest.raises(BadEmbedding, match="3 dimensions where 4 were expected"):
        OllamaProvider(ollama.url, dim=4).embed_all(["a", "b"])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (404, b'{"error":"model \\"nomic-embed-text\\" not found, try pulling it first"}'),
            r"refused, HTTP 404: model .* not found, try pulling it first; try `ollama pull nomic-embed-text`$",
        ),
        ((404, b"404 page not found"), r"refused, HTTP 404: 404 page not found; try `ollama pull nomic-embed-text`$"),
        ((500, b'{"error":"llama runner process has terminated"}'), r"HTTP 500: llama runner process has terminated$"),
        ((502, b"<html>Bad Gateway</html>"), r"HTTP 502: <html>Bad Gateway</html>$"),
        ((0, b""), r"gave no answer at http://127.0.0.1:\d+ \(.*\): does the server run\? try `ollama serve`"),
        ((200, b"not json"), r"answered with no JSON: b'not json'"),
        ((200, b'{"embeddings":[]}'), r"answered without embeddings: \{'embeddings': \[\]\}"),
        ((200, b'{"embeddings":[[],[]]}'), r"answered without embeddings"),
        ((200, b'{"embedding":[0.1]}'), r"answered without embeddings"),
        ((200, b'{"embeddings":[0.1, 0.2]}'), r"answered without embeddings"),
        ((200, b"[]"), r"answered without embeddings"),
    ],
)
def test_what_goes_wrong_with_ollama_is_said(answer: tuple[int, bytes], message: str, ollama: Ollama) -> None:
    ollama.answers = [answer]
    with pytest.raises(EmbeddingError, match=message):
        OllamaProvider(ollama.url).embed_all(["a", "b"])


def test_an_ollama_that_is_not_there_or_too_slow_is_an_error(ollama: Ollama, monkeypatch: pytest.MonkeyPatch) -> None:
    hung = threading.Event()
    monkeypatch.setattr(OllamaHandler, "do_POST", lambda self: hung.wait(2))
    with pytest.raises(EmbeddingError, match=r"gave no answer .*timed out") as caught:
        OllamaProvider(ollama.url, timeout=0.05).embed(["a"])
    hung.set()
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(EmbeddingError, match=r"gave no answer at http://127.0.0.1:1 .*refused"):
        OllamaProvider("http://127.0.0.1:1").embed(["a"])


def test_ollama_is_reached_by_http_only() -> None:
    for url in ("file:///etc/passwd", "localhost:11434", "ftp://host"):
        with pytest.raises(ModelException, match="is not the URL of a server"):
            OllamaProvider(url)


# sentence-transformers


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


# The test double


def test_hashed_vectors_are_the_same_everywhere() -> None:
    provider = HashingProvider(dimensions=8)
    # From the BLAKE2b digests: "red" adds 1 at place 6, "tea" takes 1 away at place 5.
    one, two = 5**-0.5, 2 * 5**-0.5
    assert provider.embed(["red", "Tea!", ""]) == [[0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, -1, 0, 0], [0.0] * 8]
    assert provider.embed_all(["red tea RED"])[0] == pytest.approx([0, 0, 0, 0, 0, -one, two, 0])
    assert (provider.dimensions, HashingProvider().dimensions, provider.name) == (8, 256, "hashing")


def test_hashed_texts_are_near_as_they_share_words() -> None:
    provider = HashingProvider()
    one, same, near, far = provider.embed_all(
        ["The cat sat on the mat", "the CAT, sat; on the mat!", "the dog sat on the mat", "prices rose sharply"]
    )

    def cosine(left: list[float], right: list[float]) -> float:
        return fsum(a * b for a, b in zip(left, right, strict=True))

    assert one == same
    assert cosine(one, one) == pytest.approx(1.0)
    assert cosine(one, near) > 0.7 > 0.3 > cosine(one, far)
    assert [round(hypot(*vector), 12) for vector in (one, near, far)] == [1.0] * 3


def test_a_hashed_vector_has_a_whole_number_of_dimensions() -> None:
    dimensions: Any
    for dimensions in (0, -1, 2.5, "8"):
        with pytest.raises(ModelException, match=r"dimensions=.*: write a whole number of 1 or more"):
            HashingProvider(dimensions)


# popoto.configure


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
