"""The documentation: every Python example runs, and everything public is written about."""

from __future__ import annotations

import ast
import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from inspect import getmembers, isfunction
from pathlib import Path

import pytest
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import popoto
from popoto import fields
from popoto.configuration import configuration
from popoto.models.options import META_OPTIONS
from popoto.storage import CAPABILITIES, connections, hookspecs
from popoto_embedded import Settings, open_server

ROOT = Path(__file__).resolve().parent.parent
GUIDES = sorted((ROOT / "popoto" / "fields").rglob("guide.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *GUIDES]
PYTHON = PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# Every example runs


@pytest.fixture
def fresh_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Examples start without a named connection, and on the fake unless they name another store."""
    named_here: dict[str, popoto.Connection] = {}
    monkeypatch.setattr(connections, "_named", named_here)
    for variable in connections.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("POPOTO_URL", "fake://")
    for name in ("embedding_provider", "content_store", "content_path"):
        monkeypatch.setattr(configuration, name, getattr(configuration, name))
    monkeypatch.chdir(tmp_path)
    yield
    for connection in named_here.values():
        connection.close()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_examples_of_a_page_run(page: Path, fresh_store: None) -> None:
    document = Document.parse(str(page), PYTHON, SkipParser())
    for example in document.examples():
        example.evaluate()


def test_no_page_hides_an_example_from_the_tests() -> None:
    # A fence that is indented, or named py, would look like an example and not be run.
    odd = re.compile(r"^(?:[ \t]+```python|```(?:py|python3|pycon)\b)", re.MULTILINE)
    assert [named(page) for page in PAGES if odd.search(page.read_text(encoding="utf-8"))] == []


def run_first_steps(directory: Path) -> str:
    environment = {**os.environ, "POPOTO_URL": f"embedded://{directory}"}
    program = [sys.executable, str(ROOT / "examples" / "first_steps.py")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_first_steps_find_their_data_on_the_second_run(tmp_path: Path) -> None:
    first, second = run_first_steps(tmp_path / "data"), run_first_steps(tmp_path / "data")
    assert ("This is run 1" in first, "This is run 2" in second) == (True, True)


def titled_blocks(text: str) -> dict[str, str]:
    """Give the blocks of a page that are files, by file name; several of one name follow each other."""
    found: dict[str, str] = {}
    for name, source in re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
        found[name] = found.get(name, "") + source + "\n\n"
    return found


def test_the_plugin_of_the_guide_conforms(tmp_path: Path) -> None:
    for name, source in titled_blocks(read("docs/how-to/write-a-backend.md")).items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    distribution = tmp_path / "popoto_acme-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: popoto-acme\nVersion: 1.0\n", encoding="utf-8")
    points = re.search(r'^acme = "(\w+)"$', (tmp_path / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert points is not None
    (distribution / "entry_points.txt").write_text(f"[popoto.backends]\nacme = {points[1]}\n", encoding="utf-8")
    server = open_server(Settings(tmp_path, ephemeral=True))
    try:
        argv = [sys.executable, "-m", "popoto_conformance", f"acme://{server.socket_path}", "-q"]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=500, check=False)
    finally:
        server.close()
    assert "\nCONFORMS to protocol" in done.stdout, done.stdout[-4000:] + done.stderr[-2000:]


def numbers_in(picture: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", picture)]


@pytest.mark.timeout(300)
def test_the_curves_are_those_that_the_code_gives(tmp_path: Path) -> None:
    argv = [sys.executable, str(ROOT / "docs" / "images" / "plot_curves.py"), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=290, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    curves = sorted(tmp_path.glob("*.svg"))
    assert len(curves) > 10
    for path in curves:
        kept = read(f"docs/images/{path.name}")
        # Other processors round the last digit otherwise.
        assert numbers_in(kept) == pytest.approx(numbers_in(path.read_text(encoding="utf-8")), abs=0.11), path.name


def test_every_picture_is_shown_and_drawn() -> None:
    pictures = {path.name for path in (ROOT / "docs" / "images").glob("*.svg")}
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"!\[[^\]]+\]\([./]*images/([\w.]+)\)", text)) == pictures


# Everything public is written about


def entries(text: str) -> str:
    """Give the headings of a page and the first cells of its table rows."""
    headings = re.findall(r"^#+ .*$", text, re.MULTILINE)
    cells = re.findall(r"^\|(.*?)(?<!\\)\|", text, re.MULTILINE)
    return "\n".join([*headings, *cells])


def all_entries() -> str:
    return "\n".join(entries(page.read_text(encoding="utf-8")) for page in PAGES)


def missing(names: list[str], text: str) -> list[str]:
    return [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)]


def test_every_public_name_is_documented() -> None:
    assert missing(list(popoto.__all__), all_entries()) == []


def room(field_class: type) -> Path:
    """Give the folder of the module that defines a field."""
    return ROOT / Path(*field_class.__module__.split(".")).parent


def declared(field_class: type[fields.Field]) -> fields.Field:
    """Give a field as a model has it: its lookups are there once it has a name."""
    needed = {fields.Relationship: {"model": "self"}, fields.BM25Field: {"source": "text"}}
    field = field_class(**needed.get(field_class, {}))
    field.__set_name__(object, "field")
    return field


@pytest.mark.parametrize("name", fields.__all__)
def test_every_lookup_of_a_field_is_documented_in_its_guide(name: str) -> None:
    field_class = getattr(fields, name)
    guide = entries((room(field_class) / "guide.md").read_text(encoding="utf-8"))
    wanted = [f"field__{lookup}" if lookup else "field=value" for lookup in declared(field_class).lookups]
    assert [lookup for lookup in wanted if lookup not in guide] == []


def test_the_reference_includes_every_guide() -> None:
    page = read("docs/reference/fields.md")
    assert [named(guide) for guide in GUIDES if f'--8<-- "{named(guide)}"' not in page] == []


def test_every_room_of_a_field_has_a_guide() -> None:
    rooms = {named(room(getattr(fields, name))) for name in fields.__all__}
    assert sorted(rooms - {named(guide.parent) for guide in GUIDES}) == []


def test_every_hook_is_documented() -> None:
    hooks = [name for name, _ in getmembers(hookspecs, isfunction) if name.startswith("popoto_")]
    headings = "\n".join(re.findall(r"^#+ .*$", read("docs/how-to/write-a-backend.md"), re.MULTILINE))
    assert (missing(hooks, headings), bool(hooks)) == ([], True)


def test_every_capability_is_documented() -> None:
    assert missing(list(CAPABILITIES), entries(read("docs/how-to/write-a-backend.md"))) == []


def test_every_meta_option_is_documented() -> None:
    assert missing(list(META_OPTIONS), entries(read("docs/reference/meta.md"))) == []


def environment_variables() -> set[str]:
    """Give every variable that the code reads: names in capitals that begin as ours, and what environ is asked for."""
    found: set[str] = set()
    for folder in ("popoto", "backends", "conformance"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            constants = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
            ours = re.compile(r"(POPOTO|REDIS|VALKEY)_[A-Z_]+")
            found |= {value for value in constants if isinstance(value, str) and ours.fullmatch(value)}
            found |= set(re.findall(r"""(?:environ(?:\.get\(|\[)|getenv\()\s*["'](\w+)["']""", text))
    return found - {"POPOTO_REDIS_DB"}  # a name that 1.x exported, no variable


def test_every_environment_variable_is_documented() -> None:
    variables = environment_variables()
    undocumented = missing(sorted(variables), entries(read("docs/how-to/connect.md")))
    assert (undocumented, "POPOTO_URL" in variables) == ([], True)


def test_every_error_is_documented() -> None:
    errors = [name for name, value in vars(popoto.exceptions).items() if isinstance(value, type)]
    assert missing(errors, entries(read("docs/reference/errors.md"))) == []


@pytest.mark.parametrize("owner", [popoto.Model, popoto.Query, popoto.Connection, popoto.Pipeline])
def test_every_method_is_documented(owner: type) -> None:
    names = [name for name in dir(owner) if not name.startswith("_")]
    twins = {name for name in names if name.startswith("async_") and name.removeprefix("async_") in names}
    assert missing([name for name in names if name not in twins], entries(read("docs/reference/models.md"))) == []


def test_every_page_of_the_docs_is_in_the_navigation() -> None:
    navigation = read("mkdocs.yml")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")]
    assert [page for page in pages if f": {page}\n" not in navigation] == []
