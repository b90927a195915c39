"""How a client shows who it is, and makes sure whom it talks to."""

from dataclasses import dataclass
from typing import Any

import grpc

OPTIONS = (("grpc.max_receive_message_length", -1),)

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Speak TLS. All in PEM, as bytes.

    Attributes:
        roots: authorities that the server's certificate may come from; None = those of the system.
        certificate, key: what the client shows, where the server asks for it (mutual TLS); both or none.
    """

    roots: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


def open_channel(library: Any, target: str, tls: Tls | None) -> Any:
    """A channel of `grpc` or `grpc.aio`."""
    if tls is None:
        return library.insecure_channel(target, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(tls.roots, tls.key, tls.certificate)
    return library.secure_channel(target, credentials, options=OPTIONS)


def bearer(token: str) -> Metadata:
    """What goes with every call; nothing without a token.

    Raises:
        ValueError: for what cannot stand in a header; without a word of it, as it may be a secret.
    """
    if not token:
        return ()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token has characters that no token has; is there a line break in it?")
    return (("authorization", f"Bearer {token}"),)
