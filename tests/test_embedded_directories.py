"""Where an embedded server's data and socket are: for whom, at which paths, for how long, and where they can't be."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded import POSIX_ONLY, alive, pid_of, say, until

from popoto_embedded.directories import LONGEST_SOCKET, file_system
from popoto_embedded.supervisor import EmbeddedError, Settings, ensure_running, open_server

pytestmark = POSIX_ONLY


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_socket_and_directory_are_the_owners_alone(directory):
    server = open_server(Settings(directory / "deep" / "er"))
    assert server.directory == (directory / "deep" / "er").resolve()
    assert (mode(server.socket_path), mode(server.directory)) == (0o700, 0o700)
    assert [mode(path) & 0o077 for path in server.directory.rglob("*.aof")] == [0]
    server.close()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary directory whose path leaves room for a socket's name, unlike pytest's on macOS."""
    with tempfile.TemporaryDirectory(prefix="run", dir="/tmp") as name:
        yield Path(name).resolve()


def test_long_path_gets_its_socket_elsewhere(tmp_path, short_path, monkeypatch):
    runtime = short_path / "runtime"
    runtime.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(short_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    directory = tmp_path / ("long" * 30)
    server = open_server(Settings(directory))
    assert server.socket_path.parent == runtime / "popoto"
    assert (mode(server.socket_path), mode(runtime / "popoto")) == (0o700, 0o700)
    assert len(os.fsencode(server.socket_path)) <= LONGEST_SOCKET
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    second = open_server(Settings(directory))
    assert say(second, "SET", "name", "Ada") == "+OK"
    os.kill(pid_of(directory), signal.SIGKILL)
    until(lambda: say(server, "PING") is None)
    ensure_running(server)
    assert server.socket_path.parent == short_path / f"popoto-{os.geteuid()}"
    assert say(server, "STRLEN", "name") == ":3"
    second.close()
    server.close()
    assert not server.socket_path.exists()
    (runtime / "popoto").chmod(0o755)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    with pytest.raises(EmbeddedError, match="only this user"):
        open_server(Settings(directory))


def test_odd_characters_in_the_path_are_kept(directory):
    server = open_server(Settings(directory / 'a "quoted"\\ \n näme'))
    assert say(server, "PING") == "+PONG"
    server.close()
    assert [path.name for path in directory.iterdir()] == ['a "quoted"\\ \n näme']


def test_ephemeral_server_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = open_server(Settings(Path(), ephemeral=True))
    second = open_server(Settings(Path(), ephemeral=True))
    assert first.directory != second.directory
    assert say(first, "SET", "name", "Ada") == "+OK"
    assert say(second, "EXISTS", "name") == ":0"
    pids = [pid_of(first.directory), pid_of(second.directory)]
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []
    until(lambda: not any(map(alive, pids)))


def test_ephemeral_server_of_a_killed_process_is_swept_by_the_next(tmp_path, monkeypatch, start):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = "server = open_server(Settings(directory, ephemeral=True)); say(server.directory); sys.stdin.read()"
    program = start(source, tmp_path)
    left = Path(program.hear())
    left_pid = pid_of(left)
    program.kill()
    assert alive(left_pid)
    server = open_server(Settings(Path(), ephemeral=True))
    assert list(tmp_path.iterdir()) == [server.directory]
    until(lambda: not alive(left_pid))
    server.close()


def test_file_in_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(EmbeddedError, match="file"):
            open_server(Settings(path))


def test_directory_of_everybody_is_refused(tmp_path):
    (tmp_path / "notes").touch()
    tmp_path.chmod(0o777)
    with pytest.raises(EmbeddedError, match="every user can write"):
        open_server(Settings(tmp_path))
    tmp_path.chmod(0o700)


def test_file_system_is_that_of_the_innermost_mount():
    mounts = "/dev/a / ext4 rw 0 0\nhost:/x /home nfs4 rw 0 0\n/dev/b /home/my\\040disk xfs rw 0 0\n"
    paths = ("/var/data", "/home/ada", "/homes", "/home/my disk/data")
    assert [file_system(Path(path), mounts) for path in paths] == ["ext4", "nfs4", "ext4", "xfs"]


def test_network_file_system_is_refused(directory, monkeypatch):
    monkeypatch.setattr("popoto_embedded.directories._mounts", lambda: "host:/x / nfs4 rw 0 0\n")
    with pytest.raises(EmbeddedError, match=r"network file system \(nfs4\)"):
        open_server(Settings(directory))
    monkeypatch.undo()
