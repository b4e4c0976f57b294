"""The local directory and the cookie: who runs where, and who is let in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otpy.distribution.cookie import check_strength, default_cookie, secret_key
from otpy.distribution.directory import Directory
from otpy.machines.discovery import Entry
from otpy.terms.errors import NodeError, NodeNameTaken, WeakCookie


def entry(name: str, port: int = 1000, pid: int | None = None) -> Entry:
    return Entry(name, "127.0.0.1", port, pid or os.getpid())


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
        return child.pid


def test_nodes_are_listed_by_name(tmp_path: Path) -> None:
    table = Directory(tmp_path / "nodes")
    table.add(entry("b@127.0.0.1", 2))
    table.add(entry("a@127.0.0.1", 1))
    assert [found.name for found in table.all()] == ["a@127.0.0.1", "b@127.0.0.1"]
    assert (tmp_path / "nodes").stat().st_mode & 0o777 == 0o700


def test_a_name_in_use_is_refused(tmp_path: Path) -> None:
    table = Directory(tmp_path)
    table.add(entry("a@127.0.0.1", 1))
    with pytest.raises(NodeNameTaken):
        table.add(entry("a@127.0.0.1", 2))


def test_a_dead_process_holds_no_name(tmp_path: Path) -> None:
    table = Directory(tmp_path)
    table.add(entry("a@127.0.0.1", 1, dead_pid()))
    assert table.get("a@127.0.0.1") is None
    table.add(entry("a@127.0.0.1", 2))
    assert table.get("a@127.0.0.1") == entry("a@127.0.0.1", 2)


def test_a_node_removes_only_its_own_entry(tmp_path: Path) -> None:
    table = Directory(tmp_path)
    table.add(entry("a@127.0.0.1", 1))
    table.remove(entry("a@127.0.0.1", 2))
    assert table.get("a@127.0.0.1") is not None
    table.remove(entry("a@127.0.0.1", 1))
    assert table.all() == []


def test_files_are_read_again_only_when_one_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Directory(tmp_path)
    table.add(entry("a@127.0.0.1"))
    os.utime(tmp_path, (1000, 1000))  # long ago
    table.all()
    monkeypatch.setattr(Path, "read_text", None)
    assert [found.name for found in table.all()] == ["a@127.0.0.1"]
    monkeypatch.undo()
    table.add(entry("b@127.0.0.1"))
    assert [found.name for found in table.all()] == ["a@127.0.0.1", "b@127.0.0.1"]


def test_a_change_that_does_not_show_in_the_time_is_seen(tmp_path: Path) -> None:
    table = Directory(tmp_path)
    table.add(entry("a@127.0.0.1"))
    table.all()
    just_now = tmp_path.stat().st_mtime_ns
    table.add(entry("b@127.0.0.1"))
    os.utime(tmp_path, ns=(just_now, just_now))
    assert [found.name for found in table.all()] == ["a@127.0.0.1", "b@127.0.0.1"]


def test_a_node_that_died_since_the_files_were_read_is_not_listed(tmp_path: Path) -> None:
    table = Directory(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        table.add(entry("a@127.0.0.1", 1, child.pid))
        os.utime(tmp_path, (1000, 1000))
        assert len(table.all()) == 1
        child.communicate(b"\n")
    assert table.all() == []
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_no_node(tmp_path: Path) -> None:
    (tmp_path / "a@127.0.0.1.json").write_text("{half")
    assert Directory(tmp_path).all() == []


def test_a_cookie_is_made_once_and_is_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "otpy" / "cookie"
    cookie = default_cookie(path)
    assert len(cookie) == 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert default_cookie(path) == cookie
    path.chmod(0o644)
    with pytest.raises(NodeError, match="read by others"):
        default_cookie(path)


def test_a_weak_cookie_protects_loopback_only() -> None:
    check_strength("short", "127.0.0.1")
    check_strength("x" * 20, "10.0.0.1")
    for host in ("10.0.0.1", "0.0.0.0", "example.org"):
        with pytest.raises(WeakCookie):
            check_strength("short", host)


def test_one_cookie_gives_one_key() -> None:
    assert secret_key("a") == secret_key("a") != secret_key("b")
    assert len(secret_key("a")) == 32
