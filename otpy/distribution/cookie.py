"""The shared secret of a cluster, and the key pair made from it."""

import contextlib
import hashlib
import ipaddress
import os
import secrets
from pathlib import Path

from otpy.terms.errors import NodeError, WeakCookie

MIN_LENGTH = 20
_CURVE, _GOSSIP = b"otpy curve key 1", b"otpy gossip key 1"


def secret_key(cookie: str) -> bytes:
    """The 32 bytes of the CURVE secret key that a cookie stands for."""
    return _key(cookie, _CURVE)


def gossip_key(cookie: str) -> bytes:
    """The 32 bytes that sign the datagrams of nodes that have the cookie; another key."""
    return _key(cookie, _GOSSIP)


def _key(cookie: str, salt: bytes) -> bytes:
    return hashlib.scrypt(cookie.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32)


def check_strength(cookie: str, host: str) -> None:
    """Raises ``WeakCookie`` when a short cookie would protect more than loopback."""
    if len(cookie) >= MIN_LENGTH:
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise WeakCookie(
            f"the cookie has {len(cookie)} characters and the node would listen on {host}; "
            f"beyond loopback it needs at least {MIN_LENGTH}"
        )


def default_cookie(path: Path | None = None) -> str:
    """The user's cookie, from ``~/.otpy/cookie``; made, with mode 0600, when there is none."""
    path = path or Path.home() / ".otpy" / "cookie"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # Written aside and linked, so that two nodes starting at once read one whole cookie.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    if path.stat().st_mode & 0o077:
        raise NodeError(f"{path} can be read by others; chmod 600 it")
    return path.read_text().strip()
