"""What stands in mailboxes beside plain messages: the requests of behaviours."""

from typing import Any

import msgspec

from otpy.terms.calls import From as From


class Call(msgspec.Struct, gc=False):
    """A request that waits for an answer."""

    from_: From
    request: Any


class Cast(msgspec.Struct, gc=False):
    """A request without an answer."""

    request: Any


class System(msgspec.Struct, gc=False):
    """A message of the ``sys`` protocol: ``kind`` and its argument."""

    from_: From
    kind: str
    request: Any
