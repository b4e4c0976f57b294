"""Where a granter of leases keeps its files: a directory, or its stand-in in a simulation.

Rules. A file is written aside, brought to the disk and renamed, so that after a crash there is the
old one or the new one, whole; the folder, and those it was made in, are brought there too. One OS
process uses the folder at a time.
"""

import os
from pathlib import Path
from typing import Protocol

LOCK = "lock"


class Folder(Protocol):
    """A few small files. ``str()`` of it is how an error names it. All raise ``OSError``."""

    def take(self) -> bool:
        """Make the folder, and be the only one that uses it; False if another OS process does."""
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

        The kernel unlocks it when this OS process ends. Raises ``OSError``.
        """
        # Only where leases are kept: there is no fcntl on Windows.
        import fcntl

        _make(self.path)
        if self._lock is not None:
            return True
        lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Not flock: a forked child would keep that one for as long as it runs.
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(lock)
            return False
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock
        return True

    def leave(self) -> None:
        """Unlock it."""
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
