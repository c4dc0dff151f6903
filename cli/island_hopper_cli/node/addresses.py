# SPDX-License-Identifier: Apache-2.0
"""One loopback address for each pod.

Linux answers on all of 127.0.0.0/8 without any set-up, so each pod binds the ports it likes. An address is remembered
only in the pod's status: after a restart of the node a pod asks for the address it had, before any new pod is given
one.
"""

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network


class PoolExhausted(Exception):
    """All addresses are taken."""

    def __init__(self, network: IPv4Network) -> None:
        super().__init__(f"all pod addresses of {network} are taken; delete pods or give the node a larger podNetwork")


class AddressPool:
    """Hands out addresses of one network, each to one pod."""

    def __init__(self, network: IPv4Network) -> None:
        self._network = network
        self._held: dict[str, IPv4Address] = {}
        self._taken: set[IPv4Address] = set()
        self._next = self._around()

    def take(self, uid: str, preferred: str | None = None) -> str:
        """The address of pod `uid`: the one it has, else `preferred` if that is free, else the next free one."""
        if (held := self._held.get(uid)) is not None:
            return str(held)
        address = self._wish(preferred) or self._free()
        self._held[uid] = address
        self._taken.add(address)
        return str(address)

    def release(self, uid: str) -> None:
        if (held := self._held.pop(uid, None)) is not None:
            self._taken.discard(held)

    def _wish(self, preferred: str | None) -> IPv4Address | None:
        if not preferred:
            return None
        try:
            address = IPv4Address(preferred)
        except AddressValueError:  # of another kind of node
            return None
        return address if address in self._network and address not in self._taken else None

    def _free(self) -> IPv4Address:
        # Round robin: an address given back rests as long as possible, so that no late caller reaches another pod.
        for _ in range(self._network.num_addresses - 2):
            if (address := next(self._next)) not in self._taken:
                return address
        raise PoolExhausted(self._network)

    def _around(self) -> Iterator[IPv4Address]:
        while True:
            yield from self._network.hosts()
