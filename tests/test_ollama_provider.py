"""The provider of Ollama against a server that gives recorded answers: what is sent, and what goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from popoto import ModelException
from popoto.embeddings.ollama import OllamaProvider
from popoto.exceptions import BadEmbedding, EmbeddingError


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
