"""The reply address of a call."""

import msgspec

from otpy.terms.pid import Pid, Ref


class From(msgspec.Struct, frozen=True, gc=False):
    """The reply address of one call: OTP's ``From``. It can be kept, sent and answered once."""

    pid: Pid
    tag: int
    server: Pid

    @property
    def ref(self) -> Ref:
        """The reference of the call."""
        return self.pid.request(self.tag)
