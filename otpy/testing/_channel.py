"""Whole frames over a socket between two OS processes, and answers by the number of the question.

No thread reads: whoever waits for an answer does, also for the others that wait.
"""

import select
import socket
import threading
import time
from typing import Any

from otpy.distribution.codec import decode, encode

HEAD = 4  # bytes, the length of what follows
CHUNK = 1 << 16
SENDING = 10.0  # seconds that the other side may take to make room


class Channel:
    """One end. Any thread may send; one at a time may receive."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(SENDING)
        self._buffer = bytearray()
        self._sending = threading.Lock()

    def send(self, *fields: Any) -> None:
        """Send one frame. Raises ``OSError`` when nobody reads any more, and ``NotSendable``."""
        data = encode(fields)
        with self._sending:
            self.sock.sendall(len(data).to_bytes(HEAD, "big") + data)

    def receive(self, timeout: float | None = None) -> Any:
        """The fields of the next frame; None when that takes longer than ``timeout`` seconds.

        Raises ``EOFError`` when there will be none.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while (frame := self._whole()) is None:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not self._readable(left):
                return None
            try:
                data = self.sock.recv(CHUNK)
            except ConnectionResetError:
                data = b""  # it ended with something of ours unread
            if not data:
                raise EOFError("the other process has ended")
            self._buffer += data
        return decode(frame)

    def _readable(self, timeout: float | None) -> bool:
        poll = select.poll()  # select itself ends at 1,024 open files
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))

    def _whole(self) -> bytes | None:
        if len(self._buffer) < HEAD:
            return None
        end = HEAD + int.from_bytes(self._buffer[:HEAD], "big")
        if len(self._buffer) < end:
            return None
        frame = bytes(self._buffer[HEAD:end])
        del self._buffer[:end]
        return frame

    def close(self) -> None:
        """Close this end."""
        self.sock.close()


class Asker:
    """The side of a channel that asks. Frames: ``(number, *question)``, ``(number, *answer)``."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._changed = threading.Condition()
        self._numbers = 0
        self._wanted: dict[int, Any] = {}  # an answer, or None as long as there is none
        self._reading = False
        self.ended = False  # whether no answer can come any more

    def ask(self, *question: Any) -> int:
        """Send a question; its number. Raises ``OSError`` and ``NotSendable``."""
        with self._changed:
            self._numbers += 1
            number = self._numbers
            self._wanted[number] = None
        try:
            self.channel.send(number, *question)
        except BaseException:
            self.forget(number)
            raise
        return number

    def forget(self, number: int) -> None:
        """Want no answer any more."""
        with self._changed:
            self._wanted.pop(number, None)

    def answer(self, number: int, timeout: float | None) -> Any:
        """The fields of an answer, or None when it takes longer than ``timeout`` seconds.

        An answer can be taken once. Raises ``EOFError`` when it cannot come any more.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if until is None else until - time.monotonic()
            with self._changed:
                if self._wanted.get(number) is not None:
                    return self._wanted.pop(number)
                if self.ended:
                    raise EOFError("the other process has ended")
                if left is not None and left <= 0:
                    return None
                if self._reading:
                    self._changed.wait(left)
                    continue
                self._reading = True
            self._read(left)

    def _read(self, timeout: float | None) -> None:
        frame, ended = None, False
        try:
            frame = self.channel.receive(timeout)
        except (EOFError, OSError):
            ended = True
        finally:
            with self._changed:
                self._reading, self.ended = False, self.ended or ended
                if frame is not None and frame[0] in self._wanted:
                    self._wanted[frame[0]] = frame[1:]
                self._changed.notify_all()
