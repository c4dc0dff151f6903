# SPDX-License-Identifier: Apache-2.0
"""Pod networks, claimed on the real loopback, which other nodes of this machine may be using at the same time."""

import pytest

from island_hopper_cli.node.errors import ConfigInvalid
from island_hopper_cli.node.podnetwork import claimed_network


@pytest.fixture
def states(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path / "one", tmp_path / "two"


def test_two_nodes_of_a_machine_have_different_networks(states):
    one, two = states
    with claimed_network(None, one) as first, claimed_network(None, two) as second:
        assert not first.overlaps(second)


def test_a_node_finds_the_network_that_it_had(states):
    one, two = states
    with claimed_network(None, one), claimed_network(None, two) as second:
        pass
    with claimed_network(None, two) as again:
        assert again == second


def test_a_network_that_is_taken_meanwhile_is_not_shared(states):
    one, two = states
    with claimed_network(None, one) as first:
        pass
    with claimed_network(first, two), claimed_network(None, one) as other:
        assert other != first


def test_a_wanted_network_that_another_node_has_is_refused(states):
    one, two = states
    with claimed_network(None, one) as first:
        second = claimed_network(first, two)
        with pytest.raises(ConfigInvalid, match="another node of this machine"), second:
            pytest.fail("two nodes have one network")


def test_a_memory_that_makes_no_sense_is_ignored(states):
    one, _ = states
    (one / "pod-network").write_text("nonsense")
    with claimed_network(None, one) as network:
        assert network.is_loopback
