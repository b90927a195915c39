"""Who can reach the port, and whether that is wise."""

import ipaddress

from features.errors import InvalidConfig
from serving.settings import Settings

OPEN = """{host} can be reached from other machines, and this server asks nobody for credentials:
whoever reaches the port can rank with every tenant's models and change what serves."""
CLEAR = """{host} can be reached from other machines, and without TLS every token crosses the network
as it is. Set [tls] in the settings, or put the server behind something that speaks it."""
WAY_OUT = (
    "make a token (`sluice tenants token --platform --role admin`), set [tls] client_ca, or take --insecure"
)


def check_reach(settings: Settings, protected: bool) -> str:
    """What to warn of; "" = nothing. `protected`: callers need credentials.

    Raises:
        InvalidConfig: for a host that others can reach, without credentials and without `insecure`.
    """
    if is_loopback(settings.host):
        return ""
    if not protected and not settings.insecure:
        text = "can be reached from other machines, and nobody would be asked for credentials"
        raise InvalidConfig(f"{settings.host} {text}; {WAY_OUT}", path="$.host")
    if not protected:
        return OPEN.format(host=settings.host)
    return "" if settings.tls.certificate else CLEAR.format(host=settings.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
