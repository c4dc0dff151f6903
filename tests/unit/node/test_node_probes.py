# SPDX-License-Identifier: Apache-2.0
import pytest

from island_hopper_cli.node.run.backoff import Backoff
from island_hopper_cli.node.run.probes import Counter, Probe, ProbeKind, probe_of
from island_hopper_cli.node.spec.manifest import port_number, restarts_after


@pytest.mark.parametrize(
    ("results", "verdicts"),
    [
        pytest.param([True], [True], id="one-success-is-enough-by-default"),
        pytest.param([False, False, False], [None, None, False], id="three-failures-in-a-row"),
        pytest.param([False, False, True, False], [None, None, True, None], id="a-success-breaks-the-row"),
        pytest.param([True, False, False, True], [True, None, None, True], id="below-the-threshold-nothing-changes"),
    ],
)
def test_verdicts_need_enough_equal_results_in_a_row(results, verdicts):
    counter = Counter(Probe(ProbeKind.READINESS, {}))
    assert [counter.count(ok) for ok in results] == verdicts


def test_a_success_threshold_asks_for_a_row_of_successes():
    counter = Counter(Probe(ProbeKind.READINESS, {}, success_threshold=2, failure_threshold=1))
    assert [counter.count(ok) for ok in (True, False, True, True)] == [None, False, None, True]


def test_a_probe_has_the_defaults_of_kubernetes():
    probe = probe_of({"livenessProbe": {"tcpSocket": {"port": 1}}}, ProbeKind.LIVENESS)
    assert (probe.initial_delay_s, probe.period_s, probe.timeout_s) == (0, 10, 1)
    assert (probe.success_threshold, probe.failure_threshold, probe.grace_s) == (1, 3, None)
    assert probe_of({}, ProbeKind.STARTUP) is None


def test_the_first_restart_is_at_once_and_later_ones_wait_twice_as_long():
    backoff = Backoff(initial_s=10, max_s=300)
    assert [backoff.ended(1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_container_that_ran_long_starts_afresh():
    backoff = Backoff(initial_s=10, max_s=300)
    assert [backoff.ended(ran_s) for ran_s in (1, 1, 601, 1)] == [0, 10, 0, 10]


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [
        pytest.param("Always", 0, True, id="always-after-success"),
        pytest.param("OnFailure", 0, False, id="on-failure-after-success"),
        pytest.param("OnFailure", 1, True, id="on-failure-after-failure"),
        pytest.param("Never", 1, False, id="never"),
    ],
)
def test_the_restart_policy_decides(policy, code, again):
    assert restarts_after(policy, code) is again


@pytest.mark.parametrize(
    ("port", "number"),
    [pytest.param(81, 81, id="number"), pytest.param("web", 80, id="name"), pytest.param("82", 82, id="text")],
)
def test_a_probes_port_may_be_a_number_or_a_name(port, number):
    assert port_number({"name": "main", "ports": [{"name": "web", "containerPort": 80}]}, port) == number


def test_an_unknown_port_name_is_an_error():
    with pytest.raises(ValueError, match="no port named 'absent'"):
        port_number({"name": "main"}, "absent")
