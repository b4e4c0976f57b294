"""Whose code a frame runs, and may an exit come up in it."""

import queue
import sys
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pluggy
import pytest

from otpy import Node, gen_server
from otpy.runtime.node import Node as OtpysOwn
from otpy.runtime.stacks import callback_of, frames_of, is_own, may_end, outwards, package_of
from tests.runtime.watched import Holder, compute


def here() -> FrameType:
    """The caller's frame."""
    return sys._getframe(1)  # pyright: ignore[reportPrivateUsage]


class Grab(queue.Queue[Any]):
    """Keeps the frames that led to it."""

    seen: list[FrameType]

    def _put(self, item: Any) -> None:
        self.seen = list(outwards(here()))


def named(frames: list[FrameType], name: str) -> FrameType:
    """The innermost frame of a function with that name."""
    return next(frame for frame in frames if frame.f_code.co_name == name)


def test_a_test_is_user_code_and_the_library_is_not() -> None:
    grab = Grab()
    grab.put(1)
    assert is_own(here(), "tests")
    assert is_own(named(grab.seen, "_put"), "tests")
    assert not is_own(named(grab.seen, "put"), "tests")


def test_a_package_is_the_user_s_if_the_process_comes_from_it() -> None:
    frame = named(list(outwards(here())), "_multicall")
    assert not is_own(frame, "tests")
    assert not is_own(frame, "")
    assert is_own(frame, package_of(pluggy.PluginManager))


def test_otpy_is_never_the_user_s(node: Node) -> None:
    frames = node.run(lambda: list(outwards(here())))
    assert not is_own(named(frames, "run"), "otpy")
    assert package_of(OtpysOwn) == "otpy"


@dataclass
class Point:
    """Its ``__init__`` is generated."""

    x: int

    def __post_init__(self) -> None:
        self.frames = list(outwards(here()))


def test_generated_code_belongs_to_its_module() -> None:
    generated = named(Point(1).frames, "__init__")
    assert generated.f_code.co_filename.startswith("<")
    assert is_own(generated, "tests")


def test_code_of_a_prompt_is_the_user_s() -> None:
    space: dict[str, Any] = {"here": here, "__name__": "__main__"}
    exec("def typed(): return here()", space)
    assert is_own(space["typed"](), "__main__")


class Asked(Holder, green=True):
    """Answers with its own frames."""

    def handle_call(self, request: Any, from_: Any, state: Any) -> Any:
        return super().handle_call(self.helper(), from_, state)

    def helper(self) -> Any:
        """Called by a callback."""
        frames = list(outwards(here()))
        return callback_of(frames, type(self), None), may_end(frames)


@pytest.mark.otpy_leaves_processes
def test_a_callback_may_be_ended_and_is_named_whatever_it_calls(node: Node) -> None:
    assert gen_server.call(gen_server.start(Asked, None), "which") == ("handle_call", True)


def test_outside_a_dispatch_nothing_may_be_ended(node: Node) -> None:
    assert not may_end(outwards(here()))
    assert not may_end(outwards(node.run(here)))


def test_a_bare_process_is_named_by_its_function() -> None:
    assert callback_of([], None, compute) == "tests.runtime.watched.compute"


def test_a_thread_that_has_ended_has_no_frames() -> None:
    thread = threading.Thread(target=compute, args=(0.0,))
    thread.start()
    thread.join()
    assert frames_of(thread) == []
    assert frames_of(None) == []
