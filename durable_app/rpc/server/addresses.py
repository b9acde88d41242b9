"""What "localhost" stands for where a server listens.

Clients on this machine try ::1 and 127.0.0.1 one after the other, and tell only what the last one
said. A server on one of them alone hides what it has to say, such as that it speaks TLS, behind
"connection refused" of the other.
"""

from __future__ import annotations

import socket
from typing import Final

LOOPBACK_IPV4: Final = "127.0.0.1"
LOOPBACK_IPV6: Final = "::1"


def has_ipv6_address(address: str) -> bool:
    """Whether this machine has it: containers often have IPv6 in the kernel and no ::1."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
