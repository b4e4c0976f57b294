"""Where a granter of leases keeps its files: a directory, or its stand-in in a simulation.

Rules. A file is written aside, brought to the disk and renamed, so that after a crash there is the
old one or the new one, whole; the folder, and those it was made in, are brought there too. One
node uses the folder at a time.
"""

import os
import threading
from pathlib import Path
from typing import Protocol

LOCK = "lock"


class Folder(Protocol):
    """A few small files. ``str()`` of it is how an error names it. All raise ``OSError``."""

    def take(self) -> bool:
        """Make the folder, and be the only one that uses it; False if another does."""
        ...

    def leave(self) -> None:
        """Let another have it."""
        ...

    def names(self) -> list[str]:
        """The files, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """What a file holds."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Return when the file is on the disk: after a crash there is that or the one before."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file if it is there; a crash may bring it back."""
        ...


class Directory:
    """A directory of the machine, for its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __str__(self) -> str:
        return str(self.path)

    def take(self) -> bool:
        """Make the directory so that it is still there after a crash, and lock it.

        False if another has locked it, in this OS process or elsewhere. The kernel unlocks it when
        this OS process ends, whatever it has forked. Raises ``OSError``.
        """
        _make(self.path)
        with _CHANGING:
            if self._lock is None:
                self._lock = _locked(self.path / LOCK)
                if self._lock is not None:
                    _TAKEN.add(self)
        return self._lock is not None

    def leave(self) -> None:
        """Unlock it."""
        import fcntl

        with _CHANGING:
            lock, self._lock = self._lock, None
            if lock is None:
                return
            _TAKEN.remove(self)
            try:
                # Also for a child that was forked just now, and has not closed its copy yet.
                fcntl.flock(lock, fcntl.LOCK_UN)
            finally:
                os.close(lock)

    def forget(self) -> None:
        """In a forked child: it stays locked, by the parent alone."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def names(self) -> list[str]:
        """The files, sorted. Raises ``OSError``."""
        return sorted(path.name for path in self.path.iterdir())

    def read(self, name: str) -> bytes:
        """What a file holds. Raises ``OSError``."""
        return (self.path / name).read_bytes()

    def put(self, name: str, data: bytes) -> None:
        """Write a file aside, bring it to the disk and rename it. Raises ``OSError``."""
        path = self.path / name
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(self.path)

    def remove(self, name: str) -> None:
        """Remove a file if it is there. Raises ``OSError``."""
        (self.path / name).unlink(missing_ok=True)


_TAKEN: set[Directory] = set()
# No fork comes between a change of a lock and that of the set: the child would keep the lock.
_CHANGING = threading.RLock()


def _forked() -> None:
    """In a forked child: the locks are the parent's, and are to end with it."""
    for directory in _TAKEN:
        directory.forget()
    _TAKEN.clear()
    _CHANGING.release()


os.register_at_fork(
    before=_CHANGING.acquire, after_in_parent=_CHANGING.release, after_in_child=_forked
)


def _locked(file: Path) -> int | None:
    """The descriptor of a file that is locked as long as it is open; None if another has it."""
    # Only where leases are kept: there is no fcntl on Windows.
    import fcntl

    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # Not lockf: that lock is gone when anybody in this OS process closes the same file.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except BaseException:
        os.close(lock)
        raise
    return lock


def _make(directory: Path) -> None:
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
