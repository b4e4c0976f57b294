"""What users get wrong in an argument: one clear error where the function was called."""

from typing import Any

import pytest

from otpy import BadFlags, Supervisor, aio, supervisor


class Empty(Supervisor):
    """Has no children."""

    def init(self, arg: Any) -> Any:
        return supervisor.init([], strategy="one_for_one")


BESIDE: list[dict[str, Any]] = [
    {"strategy": "one_for_all"},
    {"max_restarts": "x"},
    {"max_restarts": 4},
    {"max_seconds": 6.0},
    {"auto_shutdown": "any_significant"},
    {"strategy": "one_for_all", "max_restarts": "x"},
]


@pytest.mark.parametrize("flags", BESIDE)
def test_flags_beside_a_class_are_refused(node: Any, flags: dict[str, Any]) -> None:
    with pytest.raises(BadFlags, match=r"Empty\.init gives the flags; .*none beside") as refused:
        supervisor.start_link(Empty, **flags)
    assert refused.value.reason == ("flags_of_a_class", Empty)
    for name, value in flags.items():
        assert f"{name}={value!r}" in str(refused.value)


@pytest.mark.asyncio
async def test_flags_beside_a_class_are_refused_in_a_coroutine_too(node: Any) -> None:
    with pytest.raises(BadFlags, match=r"Empty\.init gives the flags"):
        await aio.supervisor.start_link(Empty, strategy="one_for_all")
