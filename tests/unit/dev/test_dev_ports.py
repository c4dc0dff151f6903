# SPDX-License-Identifier: Apache-2.0
import os
import socket
from collections.abc import Iterator

import pytest

from island_hopper_cli.dev.ports import FIRST, LAST, LOOPBACK, PortWish, assign, holder, port_is_free


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def a_free_port() -> int:
    return assign([PortWish("any")], {}, ()).ports["any"]


def test_a_port_that_nobody_remembers_comes_from_below_the_ephemeral_range() -> None:
    assert FIRST <= a_free_port() <= LAST


def test_every_wish_gets_a_port_of_its_own() -> None:
    ports = assign([PortWish(str(number)) for number in range(50)], {}, ()).ports
    assert len(set(ports.values())) == 50


def test_a_remembered_port_is_kept_without_a_word() -> None:
    port = a_free_port()
    assignment = assign([PortWish("nats")], {"nats": port}, ())
    assert (assignment.ports, assignment.notices) == ({"nats": port}, [])


def test_a_remembered_port_that_is_taken_is_replaced_and_its_holder_named(taken: int) -> None:
    assignment = assign([PortWish("nats")], {"nats": taken}, ())
    port = assignment.ports["nats"]
    assert port != taken
    assert len(assignment.notices) == 1
    assert assignment.notices[0].startswith(f"port {taken} of nats is taken by ")
    assert f"(pid {os.getpid()})" in assignment.notices[0]
    assert assignment.notices[0].endswith(f"using {port} instead")


def test_a_preferred_port_that_is_taken_is_told_with_who_names_it(taken: int) -> None:
    assignment = assign([PortWish("model", taken, "the sample")], {}, ())
    assert f"port {taken} of model, which the sample names, is taken" in assignment.notices[0]


def test_a_preferred_port_that_is_free_again_wins_over_the_remembered_one() -> None:
    preferred, remembered = a_free_port(), a_free_port()
    assert assign([PortWish("model", preferred)], {"model": remembered}, ()).ports == {"model": preferred}


def test_while_the_preferred_port_is_taken_the_remembered_one_stays(taken: int) -> None:
    remembered = a_free_port()
    assert assign([PortWish("model", taken)], {"model": remembered}, ()).ports == {"model": remembered}


def test_a_port_reserved_for_a_stopped_component_is_given_to_nobody_else() -> None:
    reserved = a_free_port()
    assert assign([PortWish("nats", reserved)], {}, [reserved]).ports["nats"] != reserved


def test_a_listener_makes_a_port_taken(taken: int) -> None:
    assert not port_is_free(taken)
    assert port_is_free(a_free_port())


def test_a_free_port_has_no_holder() -> None:
    assert holder(a_free_port()) == ""
