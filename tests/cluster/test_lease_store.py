"""The disk of a granter: what is on it when, after a crash or beside another program."""

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otpy import Node, NodeError, global_, self_pid
from otpy.cluster import _lease_store
from otpy.cluster._lease_folder import LOCK, Directory
from otpy.cluster._lease_store import FLOOR, Kept, LeaseStore
from otpy.distribution.codec import encode
from otpy.machines.lease_granter import FEW, Record
from otpy.machines.lease_messages import Quorum

NAME = "a@127.0.0.1"
ABC = Quorum.of(("a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.1"))
Trace = list[tuple[str, Path]]


def record(name: Any, token: int = 1) -> Record:
    return Record(name, ABC, token, None, None, 1.0)


def left(by: LeaseStore, directory: Path) -> Kept:
    """What the node's next life finds."""
    by.close()
    store = LeaseStore(Directory(directory), NAME)
    try:
        return store.load()
    finally:
        store.close()


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Trace:
    """What is done to files from now on, in order."""
    seen: Trace = []

    def tracing(what: str, do: Callable[..., Any], path: Callable[[Any], Path]) -> Any:
        def traced(first: Any, *rest: Any, **options: Any) -> Any:
            seen.append((what, path(first)))
            return do(first, *rest, **options)

        return traced

    def of_fd(fd: int) -> Path:
        return Path(f"/proc/self/fd/{fd}").resolve()

    monkeypatch.setattr(os, "fsync", tracing("fsync", os.fsync, of_fd))
    monkeypatch.setattr(Path, "replace", tracing("rename", Path.replace, Path))
    monkeypatch.setattr(Path, "mkdir", tracing("mkdir", Path.mkdir, Path))
    monkeypatch.setattr(Path, "unlink", tracing("unlink", Path.unlink, Path))
    return seen


def test_a_directory_that_is_made_is_there_after_a_crash(tmp_path: Path, trace: Trace) -> None:
    LeaseStore(Directory(tmp_path / "new" / "state"), NAME).load()
    assert trace == [
        ("mkdir", tmp_path / "new"),
        ("fsync", tmp_path),
        ("mkdir", tmp_path / "new" / "state"),
        ("fsync", tmp_path / "new"),
    ]


def test_a_record_is_on_the_disk_before_its_name_is_and_that_before_the_write_returns(
    tmp_path: Path, trace: Trace
) -> None:
    store = LeaseStore(Directory(tmp_path), NAME)
    kept = store.load()
    store.write(kept.life, record("x"))
    (file,) = tmp_path.glob("*.lease")
    draft = file.with_suffix(".new")
    assert trace == [("fsync", draft), ("rename", draft), ("fsync", tmp_path)]
    assert left(store, tmp_path).records == (record("x"),)


def test_the_floor_is_on_the_disk_before_any_name_is_dropped(tmp_path: Path, trace: Trace) -> None:
    store = LeaseStore(Directory(tmp_path), NAME)
    kept = store.load()
    for name in "xyz":
        store.write(kept.life, record(name, 7))
    trace.clear()
    store.drop(kept.life, ["x", "y", "never written"], 7)
    floor = tmp_path / FLOOR
    new = floor.with_suffix(".new")
    assert trace[:3] == [("fsync", new), ("rename", new), ("fsync", tmp_path)]
    assert [what for what, _ in trace[3:]] == ["unlink"] * 3
    again = left(store, tmp_path)
    assert (again.records, again.floor) == ((record("z", 7),), 7)


def test_what_an_earlier_lease_server_has_still_to_write_is_refused(tmp_path: Path) -> None:
    store = LeaseStore(Directory(tmp_path), NAME)
    first, second = store.load(), store.load()
    with pytest.raises(OSError, match="a later lease server"):
        store.write(first.life, record("x"))
    with pytest.raises(OSError, match="a later lease server"):
        store.drop(first.life, ["x"], 1)
    store.write(second.life, record("x", 2))
    store.close()
    with pytest.raises(OSError, match="a later lease server"):
        store.write(second.life, record("x", 3))
    assert left(store, tmp_path).records == (record("x", 2),)


def attempt(directory: Path) -> str:
    """What somebody is told who would use the directory."""
    store = LeaseStore(Directory(directory), NAME)
    try:
        store.load()
    except NodeError as error:
        return "another has it" if "another node uses" in str(error) else str(error)
    finally:
        store.close()
    return "has it"


def elsewhere(directory: Path) -> str:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(attempt, (directory,))


def test_one_directory_is_used_by_one_at_a_time_whatever_others_try(tmp_path: Path) -> None:
    store = LeaseStore(Directory(tmp_path), NAME)
    store.load()
    assert elsewhere(tmp_path) == "another has it"
    assert attempt(tmp_path) == "another has it"
    (tmp_path / LOCK).read_bytes()
    assert elsewhere(tmp_path) == "another has it"
    store.load()  # a later lease server of the same node
    store.close()
    assert elsewhere(tmp_path) == "has it"
    assert attempt(tmp_path) == "has it"


def test_a_second_node_of_the_same_name_in_the_same_program_is_refused(tmp_path: Path) -> None:
    with Node(NAME) as first:
        global_.start(first, state_dir=tmp_path)
        with Node(NAME) as second, pytest.raises(NodeError, match="another node uses"):
            global_.start(second, state_dir=tmp_path)
        assert elsewhere(tmp_path) == "another has it"
    with Node(NAME) as second:
        global_.start(second, state_dir=tmp_path)


def test_a_directory_that_was_given_back_is_not_taken_by_a_late_lease_server(
    tmp_path: Path,
) -> None:
    store = LeaseStore(Directory(tmp_path), NAME)
    store.load()
    store.close()
    with pytest.raises(OSError, match="was given back when"):
        store.load()
    assert attempt(tmp_path) == "has it"


class Hanging(Directory):
    """On a disk that answers when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked, self.answers = threading.Event(), threading.Event()

    def put(self, name: str, data: bytes) -> None:
        self.asked.set()
        assert self.answers.wait(30)
        super().put(name, data)


def test_what_is_still_being_written_at_the_end_gives_the_directory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lease_store, "PATIENCE", 0.01)
    folder = Hanging(tmp_path)
    store = LeaseStore(folder, NAME)
    life = store.load().life
    writer = threading.Thread(target=store.write, args=(life, record("x")))
    writer.start()
    assert folder.asked.wait(30)
    store.close()
    assert attempt(tmp_path) == "another has it"
    folder.answers.set()
    writer.join(30)
    assert attempt(tmp_path) == "has it"


FORKS = """
import os, pathlib, signal, sys
from otpy.cluster._lease_folder import Directory

folder = Directory(pathlib.Path(sys.argv[1]))
assert folder.take()
if not os.fork():
    folder.leave()  # has nothing to give back
    os._exit(0)
assert os.wait()[1] == 0
if not os.fork():
    print("forked", flush=True)
    for line in sys.stdin:
        print(line, end="", flush=True)
    os._exit(0)
signal.pause()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_neither_gives_the_directory_back_nor_keeps_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORKS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        try:
            assert parent.stdout.readline() == "forked\n"
            assert attempt(tmp_path) == "another has it"
        finally:
            parent.kill()
            parent.wait(30)
        assert attempt(tmp_path) == "has it"
        parent.stdin.write("lives\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "lives\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\xc1", "is damaged"),
        (encode(("otpy lease 1", NAME, "seven")), "is no token but 'seven'"),
        (encode(("otpy lease 1", "b@127.0.0.1", 7)), "belongs to b@127.0.0.1"),
        (encode(("another form", NAME, 7)), "is no file of the form"),
    ],
)
def test_a_floor_that_cannot_be_read_is_not_taken_for_none(
    tmp_path: Path, content: bytes, why: str
) -> None:
    (tmp_path / FLOOR).write_bytes(content)
    with pytest.raises(NodeError, match=why):
        LeaseStore(Directory(tmp_path), NAME).load()


def test_a_record_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.lease").write_bytes(encode(("otpy lease 1", NAME, 7)))
    with pytest.raises(NodeError, match="is no record but 7"):
        LeaseStore(Directory(tmp_path), NAME).load()


def test_a_node_keeps_few_files_of_names_that_come_and_go_and_its_tokens_grow(
    tmp_path: Path,
) -> None:
    tokens: dict[Any, int] = {}
    again = [40, 0]  # whose turn it is in each life to be the name that both know
    for life in range(2):
        with Node(NAME) as node, node.attached():
            global_.start(node, lease_time=0.5, state_dir=tmp_path)
            for number in range(3 * FEW):
                name = (life, number) if number != again[life] else "again"
                assert global_.register_name(name, self_pid(), quorum=[NAME])
                token = global_.lease(name).token
                assert isinstance(token, int)
                assert token > tokens.get(name, 0)
                tokens[name] = token
                global_.unregister_name(name)
        assert len([*tmp_path.glob("*.lease")]) <= FEW + 1
