# SPDX-License-Identifier: Apache-2.0
"""Runs a command where there is no network but loopback: `python tests/offline.py COMMAND ARGUMENT…`.

The cluster tier runs so: what passes there needs nothing from outside. Where the system allows no network namespace of
our own, it fails and names the variable that allows the network.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
INSIDE = "--inside"
ALLOWED = "HOPPER_ALLOW_NETWORK"


def bring_loopback_up() -> None:
    """What `ip link set lo up` does, without iproute2."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def namespace_prefix() -> list[str] | None:
    """How to enter a network namespace of our own; None where that is not allowed."""
    if (unshare := shutil.which("unshare")) is None:
        return None
    for prefix in ([unshare, "--net"], [unshare, "--user", "--map-root-user", "--net"]):
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return None


def main(arguments: list[str]) -> None:
    if arguments[:1] == [INSIDE]:
        bring_loopback_up()
        os.execvp(arguments[1], arguments[1:])
    prefix = namespace_prefix()
    if prefix is None:
        if os.environ.get(ALLOWED) != "1":
            sys.exit(
                f"no network namespace is allowed here; with {ALLOWED}=1 the command runs with the network as it is"
            )
        print("running with the network as it is", file=sys.stderr)
        os.execvp(arguments[0], arguments)
    print("running without any network but loopback", file=sys.stderr)
    os.execvp(prefix[0], [*prefix, sys.executable, __file__, INSIDE, *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
