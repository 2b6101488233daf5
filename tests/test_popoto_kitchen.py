"""The kitchen of the examples: both commands print what the tutorial shows, and leave what they should in the store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import popoto
from popoto import Connection

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
STATUSES = ("placed", "ready", "served", "paid")


def run(*argv: str, url: str | None = None) -> str:
    """Run the program as a user does and give what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    if url is not None:
        environment["POPOTO_URL"] = url
    program = [sys.executable, "-W", "error", "-m", "popoto_kitchen", *argv]
    done = subprocess.run(
        program, cwd=EXAMPLES, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def shown(command: str) -> str:
    """Give what the tutorial shows after a command."""
    page = (ROOT / "docs" / "tutorials" / "popoto-kitchen.md").read_text(encoding="utf-8")
    block = re.search(rf"^```text title=\"{re.escape(command)}\"\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1]


@pytest.fixture
def kitchen(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The program in this process, on the fake."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from popoto_kitchen import __main__ as program  # noqa: PLC0415 - it is on the path only now

    yield program


def sizes(plain: Any, *patterns: str) -> list[int]:
    return [len(set(plain.scan_iter(match=pattern, count=1000))) for pattern in patterns]


def table(output: str) -> list[dict[str, int]]:
    """Give the tables of an `--ops` run: for each the totals by model."""
    tables: list[dict[str, int]] = []
    for line in output.splitlines():
        if line.startswith("model "):
            tables.append({})
        elif tables and re.match(r"\w+( +\d+)+$", line):
            tables[-1][line.split()[0]] = int(line.split()[-1])
    return tables


def test_a_dinner_leaves_every_plate_paid_and_every_portion_counted(kitchen: Any, plain: Any) -> None:
    kitchen.dinner()
    assert sizes(plain, "Order:*", "Dish:*", "Memory:*", "Hold:*") == [36, 7, 6, 1]
    assert [plain.scard(f"$IndexF:Order:status:{status}") for status in STATUSES] == [0, 0, 0, 36]
    sold = {key.decode(): int(score) for key, score in plain.zrange("$SortF:Dish:sold", 0, -1, withscores=True)}
    assert (sold["Dish:Trout"], sold["Dish:Mushroom risotto"], sum(sold.values())) == (4, 2, 36)
    left = [plain.hget(f"Dish:{name}", "portions") for name in ("Trout", "Mushroom risotto")]
    assert left == [b"\x00", b"\x0a"]
    assert plain.xlen("stream:orders") == 4 * 36
    assert 0 < plain.ttl("Hold:6") <= 900
    assert plain.lrange("Guest:Ada::recent", 0, 0) == [b"\xaeChocolate cake"]


def test_the_second_evening_remembers_the_first(kitchen: Any, plain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kitchen.dinner()
    first = capsys.readouterr().out
    kitchen.dinner()
    second = capsys.readouterr().out
    assert first == shown("python -m popoto_kitchen")
    assert "evening 2: Saturday 14 February 2026" in second
    assert "notes learned: 0; notes known: 6" in second
    assert plain.zcard("$SortedKeyF:Evening:day") == 2
    # What was learned after the first dinner is what the second begins with.
    lines = re.findall(r"^  0\.\d\d = .{60} (.*)$", first, re.MULTILINE)
    before, after = lines[:4], lines[4:]
    assert before != after
    assert "Bob" not in "".join(lines)
    assert re.findall(r"^  0\.\d\d = .{60} (.*)$", second, re.MULTILINE)[:3] == after[:3]


def test_ops_finds_what_strays_and_cleans_it_away(kitchen: Any, plain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kitchen.look_after_indexes()
    output = capsys.readouterr().out
    assert output == shown("python -m popoto_kitchen --ops")
    strayed, cleaned = table(output)
    assert [name for name, count in strayed.items() if count] == ["Supplier", "Dish", "Guest", "Table", "Memory"]
    assert f"clean_indexes removed {sum(strayed.values())}" in output
    assert set(cleaned.values()) == {0}
    assert plain.exists("Dish:Trout") == 0
    assert plain.zscore("$SortF:Dish:price:main", "Dish:Trout") is None
    assert plain.zscore("$SortF:Dish:price:main", "Dish:Schnitzel") == 18.9
    assert set(plain.smembers("$Class:Guest")) == {f"Guest:{name}".encode() for name in kitchen.guests.NAMES[:-1]}


def test_what_ops_lost_is_stored_again_by_the_next_run(kitchen: Any, plain: Any) -> None:
    lost = kitchen.operations.LOST
    kitchen.look_after_indexes()
    assert plain.exists(*lost) == 0
    evening = kitchen.orders.open_evening()
    kitchen.prepare(evening)
    kitchen.greet(evening)
    assert plain.exists(*lost) == len(lost)


def test_the_program_keeps_its_data_in_a_directory(tmp_path: Path) -> None:
    assert run("--data", str(tmp_path / "the data")) == shown("python -m popoto_kitchen")
    with closing(popoto.Connection(f"embedded://{quote(str(tmp_path))}/the%20data")) as kept:
        assert kept.native.scard("$IndexF:Order:status:paid") == 36
        assert kept.native.hexists("Guest:Ada", "visits")


def test_the_program_needs_no_server_and_follows_the_variable() -> None:
    assert run("--ops") == shown("python -m popoto_kitchen --ops")
    assert run("--ops", url="fake://?namespace=kitchen") == shown("python -m popoto_kitchen --ops")
