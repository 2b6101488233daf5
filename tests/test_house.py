"""The house rules that no linter keeps: file sizes, names, who knows whom, and portable Lua."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODE_FOLDERS = ("popoto", "backends", "conformance")
FURTHER_FOLDERS = ("tests", "tools", "examples", "benchmarks")
MOST_LINES = 400

VAGUE_MODULE = re.compile(r"^(utils?|helpers?|common|misc|managers?|base_.*)$")
# Spelt in two parts so that this file passes its own test.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:" + "work|" + "root" + r")/")
TEXT_SUFFIXES = {".py", ".lua", ".md", ".toml", ".yml", ".yaml", ".json", ".txt", ".cfg", ".ini", ".sh", ""}


def words(text: str) -> set[str]:
    return set(text.split())


# Scripts that call cmsgpack.pack, each with the reason why a server without it is still served.
PACKING_SCRIPTS = {
    "popoto/queries/select.lua": "behind a capability, with a plain reply beside it",
}
# What Redis 6.2 and every Valkey give a script, less what the rules forbid.
LUA_GLOBALS = words(
    """redis KEYS ARGV string table math cjson cmsgpack assert error ipairs next pairs pcall rawequal rawget
    rawset select setmetatable getmetatable tonumber type unpack xpcall"""
)
LUA_BANNED = words("os io struct bit tostring loadstring load dofile print")
# A library that only some servers have, where a plain path stands beside it.
# An error that a row raised is told as text; it is no number.
# Errors are no texts on the fake.
LUA_ALLOWED = {
    "popoto/fields/held.lua": {"tostring"},
    "popoto/models/digest.lua": {"bit"},
    "popoto/models/rows.lua": {"tostring"},
}
LUA_KEYWORDS = words(
    """and break do else elseif end false for function goto if in local nil not or repeat return then true
    until while"""
)
BLOCK_OPENERS = {"function", "if", "do", "repeat"}
BLOCK_CLOSERS = {"end", "until"}
LUA_TOKEN = re.compile(
    r"--\[(?P<level>=*)\[.*?\](?P=level)\]"
    r"|--[^\n]*"
    r"|(?P<string>\[(?P<long>=*)\[.*?\](?P=long)\]|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<number>0[xX][0-9A-Fa-f]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<symbol>\.\.\.|\.\.|==|~=|<=|>=|[^\s])",
    re.DOTALL,
)


def files(folder: str, suffix: str) -> list[Path]:
    return sorted(p for p in (ROOT / folder).rglob(f"*{suffix}") if "__pycache__" not in p.parts)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_files() -> list[Path]:
    return [path for folder in CODE_FOLDERS for path in files(folder, ".py")]


def parsed(paths: list[Path]) -> Iterator[tuple[str, ast.AST]]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
            yield relative(path), node


def lua_files() -> list[Path]:
    return [path for folder in CODE_FOLDERS for path in files(folder, ".lua")]


# Python


def test_no_file_is_longer_than_the_limit():
    every = [path for folder in (*CODE_FOLDERS, *FURTHER_FOLDERS) for path in files(folder, ".py")]
    lengths = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in every}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def named_classes(node: ast.expr) -> list[str]:
    """Give the class names in the second argument of isinstance: a name, a tuple or a union."""
    if isinstance(node, ast.Tuple):
        return [name for item in node.elts for name in named_classes(item)]
    if isinstance(node, ast.BinOp):
        return named_classes(node.left) + named_classes(node.right)
    if isinstance(node, ast.Attribute):
        return [node.attr]
    return [node.id] if isinstance(node, ast.Name) else []


def field_types_asked_for(node: ast.AST) -> list[str]:
    """Give the field types that an isinstance or issubclass call names; `Field` is the contract."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2):
        return []
    if node.func.id not in {"isinstance", "issubclass"}:
        return []
    return [name for name in named_classes(node.args[1]) if name.endswith("Field") and name != "Field"]


def test_only_fields_know_field_types():
    outside = [path for path in code_files() if "popoto/fields/" not in relative(path)]
    found = [
        f"{name}:{node.lineno}: {asked}" for name, node in parsed(outside) if (asked := field_types_asked_for(node))
    ]
    assert found == []


def test_no_command_lists_all_keys():
    literals = [
        f"{name}:{node.lineno}"
        for name, node in parsed(files("popoto", ".py") + files("backends", ".py"))
        if isinstance(node, ast.Constant) and node.value in (b"KEYS", "KEYS", b"keys")
    ]
    in_scripts = [
        relative(path)
        for path in lua_files()
        if re.search(r"""call\(\s*['"]KEYS['"]""", path.read_text(encoding="utf-8"), re.IGNORECASE)
    ]
    assert literals + in_scripts == []


def imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [node.module or ""]
    return []


def test_source_roots_are_not_import_names():
    everywhere = code_files() + [
        p for folder in ("tests", "tools", "examples", "benchmarks") for p in files(folder, ".py")
    ]
    found = [
        f"{name}: {module}"
        for name, node in parsed(everywhere)
        for module in imported_modules(node)
        if module.split(".")[0] in {"backends", "conformance"}
    ]
    assert found == []


def test_the_suite_imports_public_names_only():
    found = [
        f"{name}: {node.module}.{alias.name}"
        for name, node in parsed(files("conformance", ".py"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "popoto"
        for alias in node.names
        if alias.name.startswith("_") or "._" in (node.module or "")
    ]
    assert found == []


def test_modules_are_named_after_what_is_inside():
    parts = {part for path in code_files() for part in (*Path(relative(path)).parent.parts, path.stem)}
    assert sorted(part for part in parts if VAGUE_MODULE.match(part)) == []


def test_importing_popoto_stays_light():
    heavy = "numpy pandas pytest hypothesis rich pydantic sentry_sdk valkey fakeredis redis"
    program = f"import sys, popoto; print(*sorted(sys.modules.keys() & set('{heavy}'.split())))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split()) == ("", [])


# All text


def repository_files() -> list[Path]:
    """Give what git tracks or would track; in a source archive, all that no tool made."""
    argv = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(argv, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    except (OSError, subprocess.CalledProcessError):
        tool_made = {"__pycache__", "build", "dist", "site"}
        found = (p for p in ROOT.rglob("*") if p.is_file())
        return [p for p in found if not any(part in tool_made or part[0] == "." for part in p.relative_to(ROOT).parts)]


def test_no_file_names_a_path_of_one_machine():
    texts = [path for path in repository_files() if path.suffix in TEXT_SUFFIXES]
    found = [
        f"{relative(path)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if MACHINE_PATH.search(line)
    ]
    assert found == []


# Lua


class Script:
    """The tokens of a Lua file and the names they declare; one scope per file is enough."""

    def __init__(self, text: str) -> None:
        found = [(m.lastgroup, m.group()) for m in LUA_TOKEN.finditer(text) if not m.group().startswith("--")]
        self.words = [word for _, word in found]
        self.is_name = [kind == "name" and word not in LUA_KEYWORDS for kind, word in found]
        self.declared = set(self._declarations())
        self.declared_at_top = set(self._declarations(at_top_only=True))

    def at(self, index: int) -> str:
        return self.words[index] if 0 <= index < len(self.words) else ""

    def names_from(self, index: int) -> Iterator[str]:
        """Give the names of a list `a, b, c` that begins at `index`."""
        while index < len(self.words) and self.is_name[index]:
            yield self.words[index]
            if self.at(index + 1) != ",":
                return
            index += 2

    def _declarations(self, at_top_only: bool = False) -> Iterator[str]:
        depth = 0
        for index, word in enumerate(self.words):
            if not (at_top_only and depth):
                yield from self._declared_by(index, word, at_top_only)
            depth += (word in BLOCK_OPENERS) - (word in BLOCK_CLOSERS)

    def _declared_by(self, index: int, word: str, at_top_only: bool) -> Iterator[str]:
        if word == "local":
            yield from self.names_from(index + 2 if self.at(index + 1) == "function" else index + 1)
        elif word == "for" and not at_top_only:
            yield from self.names_from(index + 1)
        elif word == "function" and not at_top_only:
            yield from self.names_from(self.words.index("(", index) + 1)

    def is_member(self, index: int, inside_table: bool) -> bool:
        """Tell whether a name is a member (`a.name`, `a:name`) or a key in a table constructor."""
        if self.at(index - 1) in {".", ":"}:
            return True
        return inside_table and self.at(index + 1) == "=" and self.at(index - 1) in {"{", ",", ";"}

    def variables(self) -> set[str]:
        """Give every name that is read or written as a variable."""
        found: set[str] = set()
        brackets: list[str] = []
        for index, word in enumerate(self.words):
            if word in {"{", "(", "["}:
                brackets.append(word)
            elif word in {"}", ")", "]"}:
                brackets.pop()
            elif self.is_name[index] and not self.is_member(index, brackets[-1:] == ["{"]):
                found.add(word)
        return found

    def has(self, *tokens: str) -> bool:
        """Tell whether these tokens follow one another anywhere."""
        return any(tuple(self.words[i : i + len(tokens)]) == tokens for i in range(len(self.words)))


def scripts() -> dict[str, Script]:
    return {relative(path): Script(path.read_text(encoding="utf-8")) for path in lua_files()}


def undeclared(script: Script, shared: set[str]) -> list[str]:
    return sorted(script.variables() - script.declared - shared - LUA_GLOBALS - LUA_BANNED)


def test_scripts_use_no_undeclared_name():
    # A prelude is put before a script, so its top-level names are known in every file.
    found = scripts()
    shared = {name for script in found.values() for name in script.declared_at_top}
    names = {path: undeclared(script, shared) for path, script in found.items()}
    assert {path: undeclared_names for path, undeclared_names in names.items() if undeclared_names} == {}


def test_scripts_use_nothing_that_some_server_lacks_or_rounds():
    banned = {
        path: sorted((script.variables() & LUA_BANNED) - LUA_ALLOWED.get(path, set()))
        for path, script in scripts().items()
    }
    assert {path: names for path, names in banned.items() if names} == {}


def test_scripts_pack_only_where_a_reason_is_given():
    packing = {path for path, script in scripts().items() if script.has("cmsgpack", ".", "pack")}
    assert packing - PACKING_SCRIPTS.keys() == set()


def test_scripts_never_read_the_clock():
    reading = re.compile(r"""call\(\s*['"]TIME['"]""", re.IGNORECASE)
    assert [relative(p) for p in lua_files() if reading.search(p.read_text(encoding="utf-8"))] == []


def test_scripts_open_with_a_sentence():
    without = []
    for path in lua_files():
        opening: list[str] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.startswith("--"):
                break
            opening.append(line.removeprefix("--").strip())
        if not re.match(r"[A-Z`'\"].*\.(\s|$)", " ".join(opening)):
            without.append(relative(path))
    assert without == []


# The checks check


def test_the_lua_check_sees_a_global_and_passes_a_local():
    text = """-- A sentence.
    local t, n = {key = 1, [2] = "x = y"}, 0   -- z = 1
    local function add(a, ...) n = n + a; return t.key, select('#', ...) end
    for i, v in ipairs(KEYS) do leak = add(v) end
    if n > 1 then t.other = misspelt end
    return t
    """
    assert undeclared(Script(text), shared=set()) == ["leak", "misspelt"]


def test_the_lua_check_tells_top_level_names_from_inner_ones():
    script = Script("local top = 1\nlocal function f(x) local inner = x; if x then local deep = 1 end end\nlocal last")
    assert script.declared_at_top == {"top", "f", "last"}


def test_the_field_check_passes_the_contract_and_sees_a_type():
    calls = ["isinstance(f, Field)", "isinstance(f, (str, fields.KeyField))", "issubclass(c, GeoField | int)"]
    assert [field_types_asked_for(ast.parse(call, mode="eval").body) for call in calls] == [
        [],
        ["KeyField"],
        ["GeoField"],
    ]
