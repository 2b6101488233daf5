"""The embedded server's supervisor against real servers, real processes and real kills."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from pathlib import Path

import pytest
from embedded import PATIENCE_SECONDS, POSIX_ONLY, alive, locked, pid_of, say, serving, until
from programs import CHURN, FORK, PARENT_FIRST, PERSIST, RACE, USE, Program

from popoto_embedded.supervisor import EmbeddedError, Server, Settings, ensure_running, open_server

pytestmark = POSIX_ONLY


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


# Of a server that is killed: with everysec its log may lag behind by two seconds while a busy disk is synced.


def killed_five_times(program: Program, directory: Path) -> list[str]:
    """What the program said while its server was killed again and again."""
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.extend(iter(program.hear, "")))
    listener.start()

    def revived(times: int) -> bool:
        # Only what it says behind its last failure comes from the server whose number the directory has now.
        return heard.count("unsure") >= times and len(heard) > 100 and "unsure" not in heard[-100:]

    for killed in range(5):
        until(partial(revived, killed))
        os.kill(pid_of(directory), signal.SIGKILL)
    until(lambda: heard.count("unsure") >= 5)
    program.process.send_signal(signal.SIGUSR1)
    listener.join()
    assert program.process.wait() == 0
    return heard


def test_killed_server_loses_no_acknowledged_write(directory, start):
    heard = killed_five_times(start(PERSIST, directory, "always"), directory)
    acknowledged = [line for line in heard if line != "unsure"]
    server = open_server(Settings(directory))
    assert say(server, "SREM", "written", *acknowledged) == f":{len(acknowledged)}"
    server.close()


def test_killed_server_loses_at_most_the_last_writes_by_default(directory, start):
    heard = killed_five_times(start(PERSIST, directory), directory)
    server = open_server(Settings(directory))
    for life in " ".join(heard).split("unsure"):
        kept = [say(server, "SISMEMBER", "written", number) for number in life.split()]
        assert kept == sorted(kept, reverse=True)
    server.close()


def test_server_killed_together_with_its_user_loses_nothing(directory, start):
    program = start(CHURN, directory, "always")
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
