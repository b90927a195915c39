"""TLS of the port: the server's certificate, and where callers show theirs, the authority behind it."""

from pathlib import Path

import grpc

from features.errors import InvalidConfig
from serving.settings import Tls


def server_credentials(tls: Tls) -> grpc.ServerCredentials | None:
    """What the port asks and shows; None = it speaks in the clear.

    Raises:
        InvalidConfig: if one of certificate and key is missing, or a file cannot be read.
    """
    if not (tls.certificate or tls.key or tls.client_ca):
        return None
    if not (tls.certificate and tls.key):
        raise InvalidConfig("needs both `certificate` and `key`", path="$.tls")
    pair = (read(tls.key, "key"), read(tls.certificate, "certificate"))
    authority = read(tls.client_ca, "client_ca") if tls.client_ca else None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def read(file: str, key: str) -> bytes:
    """A PEM file."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise InvalidConfig(f"cannot read {file}: {error.strerror}", path=f"$.tls.{key}") from None
