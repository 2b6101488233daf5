"""Embeddings of an Ollama server, over HTTP with the standard library."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from popoto.embeddings.provider import AbstractEmbeddingProvider
from popoto.exceptions import BadEmbedding, EmbeddingError, ModelException


class OllamaProvider(AbstractEmbeddingProvider):
    """Embeddings of an Ollama server; needs no package.

    A text that is longer than the model's context is cut off by the server. `input_type` makes no difference.
    """

    name = "ollama"

    def __init__(
        self,
        base_url: str = "http://localhost:11434",
        model: str = "nomic-embed-text",
        dim: int | None = None,
        timeout: float = 60.0,
    ) -> None:
        """Name the server; nothing is sent.

        Args:
            base_url: where it is, with `http://` or `https://`.
            model: the model, as `ollama pull` knows it.
            dim: the dimensions, which the server is asked for; None takes the model's own, known from the first answer.
            timeout: how long to wait for the server, in seconds; it may have to load the model first.

        Raises:
            ModelException: `base_url` is not one of HTTP.
        """
        if not base_url.lower().startswith(("http://", "https://")):
            raise ModelException(f"base_url={base_url!r} is not the URL of a server: write 'http://host:11434'")
        self.base_url = base_url.rstrip("/")
        self.model = model
        self.timeout = timeout
        self._asked = {} if dim is None else {"dimensions": dim}
        self._dimensions = dim

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has.

        Raises:
            EmbeddingError: `dim` was not given and nothing has been embedded yet.
        """
        if self._dimensions is None:
            raise EmbeddingError(
                f"{self._named} tells its dimensions with its first answer: embed a text, or give dim="
            )
        return self._dimensions

    @property
    def max_batch_size(self) -> int:
        """32, so that one answer of a slow machine stays within the timeout."""
        return 32

    def embed(self, texts: list[str], input_type: str | None = None) -> list[list[float]]:
        """One vector for each text.

        Raises:
            EmbeddingError: the server cannot be reached, has not pulled the model, or refused.
            BadEmbedding: its answer holds no vectors.
        """
        if not texts:
            return []
        answer = self._answer({"model": self.model, "input": texts, **self._asked})
        vectors = answer.get("embeddings") if isinstance(answer, dict) else None
        if not isinstance(vectors, list) or not vectors or not all(isinstance(one, list) and one for one in vectors):
            raise BadEmbedding(f"{self._named} at {self.base_url} answered without embeddings: {str(answer)[:200]}")
        if self._dimensions is None:
            self._dimensions = len(vectors[0])
        return vectors

    def _answer(self, question: dict[str, Any]) -> Any:
        request = Request(
            f"{self.base_url}/api/embed",
            data=json.dumps(question).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urlopen(request, timeout=self.timeout) as reply:
                text = reply.read()
        except HTTPError as error:
            raise self._refused(error) from error
        except (OSError, HTTPException) as error:
            raise EmbeddingError(
                f"{self._named} gave no answer at {self.base_url} ({error}): does the server run? try `ollama serve`"
            ) from error
        try:
            return json.loads(text)
        except ValueError as error:
            raise BadEmbedding(f"{self._named} at {self.base_url} answered with no JSON: {text[:200]!r}") from error

    def _refused(self, error: HTTPError) -> EmbeddingError:
        with error:
            text = error.read().decode("utf-8", "replace")
        remedy = f"; try `ollama pull {self.model}`" if error.code == 404 and "not found" in text else ""
        return EmbeddingError(f"{self._named} at {self.base_url} refused, HTTP {error.code}: {_reason(text)}{remedy}")


def _reason(text: str) -> str:
    """What the server says in the `error` of its JSON, or as it is."""
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
