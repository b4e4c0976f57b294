"""What stands for a part of a result that was left out."""

from typing import Any, Final


class Unset:
    """A result's part that was left out."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final[Any] = Unset()
