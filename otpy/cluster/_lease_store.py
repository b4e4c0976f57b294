"""What a granter of leases has promised, on its disk: one file for each name.

Rules. A file is written aside, brought to the disk and renamed, so that after a crash there is the
old one or the new one, whole; the folder, and those it was made in, are brought there too. One OS
process uses the folder at a time, and in it the latest life of the lease server: what an earlier
one had still to write is refused.
"""

import hashlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from otpy.distribution.codec import DecodeError, decode, encode
from otpy.machines.lease_granter import Record
from otpy.terms.errors import NodeError
from otpy.terms.values import is_whole

FORMAT = "otpy lease 1"
SUFFIX = ".lease"
FLOOR = "floor"  # the file of the greatest token under a name that was dropped
LOCK = "lock"
PATIENCE = 1.0  # seconds that the end of a node waits for a disk


class Kept(NamedTuple):
    """What a life of the lease server begins with, and which life that is."""

    life: int
    records: tuple[Record, ...]
    floor: int


class LeaseStore:
    """The files of one node in a directory of its own. Its methods may be called on any thread."""

    def __init__(self, directory: Path, node: str) -> None:
        self.directory = directory
        self.node = node
        self._busy = threading.Lock()
        self._life = 0
        self._lock: int | None = None

    def load(self) -> Kept:
        """All that is kept; what earlier lives have still to write is refused from now on.

        Raises ``NodeError`` for a file that cannot be read and if another OS process uses the
        directory, and ``OSError``.
        """
        self._life += 1
        with self._busy:
            _make(self.directory)
            self._take()
            paths = sorted(self.directory.glob(f"*{SUFFIX}"))
            records = tuple(self._record(path) for path in paths)
            return Kept(self._life, records, self._floor(self.directory / FLOOR))

    def write(self, life: int, record: Record) -> None:
        """Return when the record is on the disk. Raises ``OSError``."""
        with self._busy:
            self._check(life)
            self._bring(self._path(record.name), record)
            _sync(self.directory)

    def drop(self, life: int, names: Iterable[Any], floor: int) -> None:
        """Bring ``floor`` to the disk, then forget these names. Raises ``OSError``."""
        with self._busy:
            self._check(life)
            self._bring(self.directory / FLOOR, floor)
            _sync(self.directory)
            for name in names:
                self._path(name).unlink(missing_ok=True)

    def close(self) -> None:
        """Let another have the directory; nothing is written any more."""
        self._life += 1
        if self._busy.acquire(timeout=PATIENCE):
            try:
                if self._lock is not None:
                    os.close(self._lock)
                    self._lock = None
            finally:
                self._busy.release()

    def _check(self, life: int) -> None:
        if life != self._life:
            raise OSError(f"{self.directory} is in the hands of a later lease server")

    def _take(self) -> None:
        """Be the only OS process here. The kernel undoes it when this one ends."""
        # Only where leases are kept: there is no fcntl on Windows.
        import fcntl

        if self._lock is not None:
            return
        lock = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Not flock: a forked child would keep that one for as long as it runs.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            os.close(lock)
            raise NodeError(
                f"state_dir of {self.node}: another OS process uses {self.directory}; expected a "
                "directory of this node alone, and that its earlier life has ended"
            ) from error
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _path(self, name: Any) -> Path:
        return self.directory / f"{hashlib.sha256(encode(name, 'name')).hexdigest()}{SUFFIX}"

    def _bring(self, path: Path, content: Any) -> None:
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(encode((FORMAT, self.node, content), "record"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def _record(self, path: Path) -> Record:
        found = self._read(path)
        if not isinstance(found, Record):
            raise self._bad(path, f"is no record but {found!r:.80}")
        return found

    def _floor(self, path: Path) -> int:
        found: Any = self._read(path) if path.exists() else 0
        if not is_whole(found, 0):
            raise self._bad(path, f"is no token but {found!r:.80}")
        floor: int = found
        return floor

    def _read(self, path: Path) -> Any:
        try:
            found: Any = decode(path.read_bytes())
        except DecodeError as error:
            raise self._bad(path, f"is damaged ({error})") from error
        match found:
            case (str(form), str(node), content) if form == FORMAT:
                if node != self.node:
                    raise self._bad(path, f"belongs to {node}")
                return content
            case _:
                raise self._bad(path, f"is no file of the form {FORMAT!r}")

    def _bad(self, path: Path, what: str) -> NodeError:
        return NodeError(
            f"state_dir of {self.node}: {path} {what}; expected what this node wrote. If it is "
            "lost, remove the node from the quorums before it starts without it"
        )


def _make(directory: Path) -> None:
    """Make a directory so that it is still there after a crash."""
    missing: list[Path] = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        _sync(one.parent)


def _sync(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    entry = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
