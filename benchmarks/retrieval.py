"""How well the parts of a memory find the turns of a conversation that answer a question, and how fast.

    python benchmarks/retrieval.py [FILE] [--url URL] [--provider NAME] [--model MODEL] [--analyzer simple|english]

FILE is JSON, `benchmarks/data/conversations.json` unless given:

    {"conversations": [
        {"id": "any text",
         "sessions": [{"id": "any text", "turns": [{"id": "unique in the conversation", "speaker": "Mira",
                                                    "text": "what was said"}]}],
         "questions": [{"question": "what is asked", "evidence": ["ids of the turns that answer it"]}]}]}

Further names are passed over. Each conversation is a memory of its own. Printed are, as means over all questions:
recall of the evidence among the first 1, 5, 10 and 20 turns, the reciprocal rank of the first turn of the evidence
(MRR), nDCG@10 (Jarvelin and Kekalainen 2002, with gains of 1 and 0), and the median and 95th percentile of the
milliseconds of one search.

The provider is `hashing` unless given: a test double that knows words only, so "semantic" means nothing before a real
one is named: `sentence-transformers`, `ollama`, `openai`, `voyage`, or a class of your own as MODULE:CLASS. MODEL is
what it is made with, for sentence-transformers a name or a folder; its own default unless given. Nothing here is
asserted.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import popoto
from popoto import BM25Field, ContextAssembler, EmbeddingField, Field, IndexedField, KeyField, Model, SortedField

DATA = Path(__file__).resolve().parent / "data" / "conversations.json"
DEPTHS = (1, 5, 10, 20)
MOST = max(DEPTHS)
PROVIDERS = {
    "hashing": "popoto.embeddings.hashing:HashingProvider",
    "ollama": "popoto.embeddings.ollama:OllamaProvider",
    "openai": "popoto.embeddings.openai:OpenAIProvider",
    "sentence-transformers": "popoto.embeddings.local:SentenceTransformersProvider",
    "voyage": "popoto.embeddings.voyage:VoyageProvider",
}
Search = Callable[[str, str], list[str]]


def provider_of(name: str, model: str | None) -> Any:
    """A provider by its name here, or as MODULE:CLASS."""
    module, _, class_name = PROVIDERS.get(name, name).partition(":")
    if not class_name:
        raise SystemExit(f"--provider {name} is unknown: use one of {', '.join(PROVIDERS)}, or MODULE:CLASS")
    made = getattr(import_module(module), class_name)
    return made() if model is None else made(model=model)


def turn_model(analyzer: str) -> type[Model]:
    """A model of turns with an index of words and one of meaning."""

    class Turn(Model):
        conversation = KeyField()
        turn = KeyField()
        session = IndexedField()
        place = SortedField(type=int, partition_by="conversation")
        text = Field(max_length=100_000)
        words = BM25Field(source="text", analyzer=analyzer)
        meaning = EmbeddingField(source="text")

    return Turn


def fill(model: type[Model], conversations: Iterable[dict[str, Any]]) -> int:
    """Store every turn; how many there are."""
    rows = []
    for one in conversations:
        place = 0
        for session in one["sessions"]:
            for turn in session["turns"]:
                text = f"{turn.get('speaker', '')}: {turn['text']}"
                named = {"conversation": str(one["id"]), "turn": str(turn["id"]), "session": str(session["id"])}
                rows.append(model(**named, place=place, text=text))
                place += 1
    model.bulk_create(rows)
    return len(rows)


def searches(model: type[Model]) -> dict[str, Search]:
    """Each way to search: from a conversation and a question to the turns, best first."""
    plain = ContextAssembler(model, {}, max_items=MOST)
    context = ContextAssembler(model, {}, max_items=MOST, neighbours="place", group_by="session")

    def own(conversation: str) -> Any:
        return model.query.filter(conversation=conversation)

    def hybrid(conversation: str, question: str) -> list[Any]:
        query = own(conversation)
        return query.fuse(
            limit=MOST,
            words=query.keyword_search(question, limit=200, explain=True),
            meaning=query.semantic_search(question, limit=200, explain=True),
        )

    def assembled(assembler: ContextAssembler) -> Callable[[str, str], list[Any]]:
        return lambda conversation, question: (
            assembler.assemble({"question": question}, partition_filters={"conversation": conversation}).records
        )

    found: dict[str, Callable[[str, str], list[Any]]] = {
        "keyword": lambda conversation, question: own(conversation).keyword_search(question, limit=MOST),
        "semantic": lambda conversation, question: own(conversation).semantic_search(question, limit=MOST),
        "hybrid": hybrid,
        "assembled": assembled(plain),
        "assembled, neighbours and sessions": assembled(context),
    }
    return {name: _turns(search) for name, search in found.items()}


def _turns(search: Callable[[str, str], list[Any]]) -> Search:
    return lambda conversation, question: [row.turn for row in search(conversation, question)]


def recall(found: list[str], evidence: set[str], depth: int) -> float:
    """The part of the evidence among the first turns."""
    return len(evidence & set(found[:depth])) / len(evidence)


def reciprocal_rank(found: list[str], evidence: set[str]) -> float:
    """1 over the place of the first turn of the evidence; 0 when there is none."""
    return next((1 / place for place, turn in enumerate(found, 1) if turn in evidence), 0.0)


def ndcg(found: list[str], evidence: set[str], depth: int = 10) -> float:
    """Discounted gain over the best that is possible."""
    gain = sum(1 / math.log2(place + 1) for place, turn in enumerate(found[:depth], 1) if turn in evidence)
    return gain / sum(1 / math.log2(place + 1) for place in range(1, min(len(evidence), depth) + 1))


def measured(search: Search, conversations: Iterable[dict[str, Any]]) -> list[float]:
    """The means over all questions, and the milliseconds."""
    rows, seconds = [], []
    for one in conversations:
        for asked in one["questions"]:
            evidence = {str(turn) for turn in asked["evidence"]}
            if not evidence:
                continue
            started = time.perf_counter()
            found = search(str(one["id"]), asked["question"])
            seconds.append(time.perf_counter() - started)
            recalls = [recall(found, evidence, depth) for depth in DEPTHS]
            rows.append([*recalls, reciprocal_rank(found, evidence), ndcg(found, evidence)])
    seconds.sort()
    slow = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
    means = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    return [*means, 1000 * statistics.median(seconds), 1000 * slow]


def main() -> None:
    """Fill a store, ask every question in every way, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DATA)
    parser.add_argument("--url", default="embedded::memory:")
    parser.add_argument("--provider", default="hashing")
    parser.add_argument("--model")
    parser.add_argument("--analyzer", default="english")
    asked = parser.parse_args()
    conversations = json.loads(asked.file.read_text(encoding="utf-8"))["conversations"]
    provider = provider_of(asked.provider, asked.model)
    with tempfile.TemporaryDirectory() as folder:
        popoto.configure(embedding_provider=provider, content_path=folder)
        popoto.connect(asked.url)
        model = turn_model(asked.analyzer)
        turns = fill(model, conversations)
        questions = sum(bool(one["evidence"]) for each in conversations for one in each["questions"])
        made_by = f"{provider.name} {provider.model}"
        print(f"{turns} turns, {questions} questions, {made_by}, analyzer {asked.analyzer}, {asked.url}")
        print(f"{'':36}" + "".join(f"{f'R@{depth}':>7}" for depth in DEPTHS) + "    MRR nDCG10  ms/50%  ms/95%")
        for way, search in searches(model).items():
            *means, middle, slow = measured(search, conversations)
            print(f"{way:36}" + "".join(f"{mean:7.3f}" for mean in means) + f"{middle:8.2f}{slow:8.2f}")


if __name__ == "__main__":
    main()
