"""The benchmark of retrieval: its measures are right, and what it measures on the shipped conversations holds."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parent.parent / "benchmarks" / "retrieval.py"


def loaded() -> Any:
    spec = spec_from_file_location("retrieval_benchmark", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_measures_are_right() -> None:
    made = loaded()
    found, evidence = ["a", "b", "c", "d"], {"b", "d", "x"}
    assert [made.recall(found, evidence, depth) for depth in (1, 2, 4)] == [0.0, 1 / 3, 2 / 3]
    assert (made.reciprocal_rank(found, evidence), made.reciprocal_rank(found, {"x"})) == (0.5, 0.0)
    best = sum(1 / math.log2(place + 1) for place in (1, 2, 3))
    assert made.ndcg(found, evidence) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)
    assert made.ndcg(["b"], {"b"}) == 1.0


def table(*words: str) -> dict[str, list[float]]:
    """The printed means by way."""
    argv = [sys.executable, str(PROGRAM), "--url", "fake://", "--analyzer", "simple", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=500, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line for line in done.stdout.splitlines()[2:] if line]
    return {row[:36].strip(): [float(one) for one in row[36:].split()] for row in rows}


def test_assembled_contexts_find_more_than_their_parts() -> None:
    ways = table()
    assert list(ways) == ["keyword", "semantic", "hybrid", "assembled", "assembled, neighbours and sessions"]
    recall_at_10 = {way: means[2] for way, means in ways.items()}
    assert recall_at_10["assembled"] >= max(recall_at_10[way] for way in ("keyword", "semantic", "hybrid"))
    assert recall_at_10["assembled, neighbours and sessions"] >= 0.9


def test_any_file_of_conversations_is_taken(tmp_path: Path) -> None:
    turns = [{"id": number, "text": f"word{number} said"} for number in range(3)]
    questions = [{"question": "word2", "evidence": [2]}, {"question": "nothing", "evidence": []}]
    one = {"id": 1, "sessions": [{"id": "s", "turns": turns}], "questions": questions}
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps({"conversations": [one, {**one, "id": 2}]}), encoding="utf-8")
    assert table(str(file))["keyword"][:6] == [1.0] * 6


def test_a_provider_is_named_or_a_class_and_takes_a_model() -> None:
    made = loaded()
    assert made.provider_of("hashing", None).name == "hashing"
    assert made.provider_of("popoto.embeddings.ollama:OllamaProvider", "mini").model == "mini"
    with pytest.raises(SystemExit, match="--provider nobody is unknown: use one of hashing, ollama"):
        made.provider_of("nobody", None)
