# SPDX-License-Identifier: Apache-2.0
"""Which part of 127.0.0.0/8 the pods of this node live in, and that no other node of the machine uses it too.

All nodes of a machine share its loopback: two clusters on one network would give two pods one address, and the probe
of one would be answered by the other. So a node holds its network by a socket on the network's first address, which
no pod is given. The kernel lets go of it when the node dies, and refuses it to every other user's node as well.

What must stay true: a node that was restarted finds the network that it had, or its pods would change their
addresses.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError
from pathlib import Path

from island_hopper_cli.node.errors import ConfigInvalid

CLAIM_PORT = 10250
"""UDP, so that it is in the way of nobody; kubelet's number, to tell a person who looks what it is."""
CANDIDATES = tuple(IPv4Network(f"127.{number}.0.0/16") for number in range(42, 128))
"""Above the addresses that other software on loopback likes."""


@contextmanager
def claimed_network(wanted: IPv4Network | None, state: Path) -> Iterator[IPv4Network]:
    """Hold `wanted`, or else the network of the last time, or else the first that is free.

    Raises:
        ConfigInvalid: another node has it, or all.
    """
    memory = state / "pod-network"
    for network in (wanted,) if wanted is not None else (*_remembered(memory), *CANDIDATES):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as claim:
            if _binds(claim, network):
                memory.write_text(f"{network}\n")
                yield network
                return
    raise ConfigInvalid(
        f"another node of this machine uses {wanted or 'each pod network'}: set another podNetwork, or stop it"
    )


def _remembered(memory: Path) -> Iterator[IPv4Network]:
    try:
        yield IPv4Network(memory.read_text().strip())
    except (FileNotFoundError, AddressValueError, NetmaskValueError):
        return


def _binds(claim: socket.socket, network: IPv4Network) -> bool:
    try:
        claim.bind((str(network.network_address), CLAIM_PORT))
    except OSError:
        return False
    return True
