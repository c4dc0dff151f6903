# SPDX-License-Identifier: Apache-2.0
"""The route in force, what is sent, and what each failure is called."""

from typing import Any

import httpx
import openai
import pytest
from strands.types.exceptions import ContextWindowOverflowException, ModelThrottledException

from island_hopper_api.agent_config import CompiledRoute, ParametersConfig, SecretKey
from island_hopper_api.report import ErrorClass
from island_hopper_sdk.errors import RouteMissing
from island_hopper_sdk.models import CallParameters, CallSummary, ModelFailure, ModelRouteTable, RoutedModel, Usage
from island_hopper_sdk.models.failures import Finding, Overdue, Unfinished, Where, classify
from island_hopper_sdk.models.parameters import request_parameters

WHERE = Where("default", "main")


def route(generation: int = 1, uid: str = "uid", **target: Any) -> CompiledRoute:
    one = {
        "name": "main",
        "provider": "OpenAI",
        "model": "m",
        "baseUrl": "http://127.0.0.1:9/v1",
        "key": {"name": "keys", "key": "target.main"},
        "parameters": {"temperature": None, "topP": None, "maxTokens": None},
        "timeouts": {"connectS": 1, "firstTokenS": 1, "idleS": 1, "totalS": 1},
    }
    targets = [one | target]
    return CompiledRoute.model_validate({"name": "default", "uid": uid, "generation": generation, "targets": targets})


class Keys(dict[str, str]):
    def __call__(self, key: SecretKey) -> str | None:
        return self.get(key.key)


async def test_a_route_of_a_lower_generation_is_not_taken():
    table, keys = ModelRouteTable(), Keys({"target.main": "k"})
    assert table.update(route(5, model="new"), keys)
    assert not table.update(route(4, model="old"), keys)
    assert (table.generation, table.pick().config.model) == (5, "new")
    assert table.update(route(1, uid="another-route", model="other"), keys)
    assert table.pick().config.model == "other"


async def test_a_target_that_did_not_change_keeps_its_connections():
    table, keys = ModelRouteTable(), Keys({"target.main": "k"})
    table.update(route(1), keys)
    before = table.pick()
    assert table.update(route(2), keys)
    assert table.pick() is before
    keys["target.main"] = "rotated"
    assert table.update(route(2), keys)
    assert table.pick() is not before
    assert not table.update(route(2), keys)


async def test_a_change_is_told_once():
    told: list[int] = []
    table = ModelRouteTable(lambda: told.append(1))
    for _ in range(3):
        table.update(route(), Keys())
    assert len(told) == 1


async def test_a_route_that_needs_a_newer_pod_leaves_the_old_one():
    table, keys = ModelRouteTable(), Keys({"target.main": "k"})
    table.update(route(1), keys)
    with pytest.raises(ValueError, match="run a newer agent image"):
        table.update(route(2, provider="Anthropic"), keys)
    assert table.generation == 1


async def test_no_route_and_no_key_are_told_apart():
    table = ModelRouteTable()
    with pytest.raises(RouteMissing):
        table.pick()
    table.update(route(), Keys())
    with pytest.raises(ModelFailure) as pending:
        table.pick().begin_call()
    assert pending.value.error_class is ErrorClass.KEY_PENDING
    [report] = table.reports()
    assert (report.healthy, report.last_error and report.last_error.class_) == (None, ErrorClass.KEY_PENDING)


def test_of_parameters_the_callers_come_first():
    defaults = ParametersConfig(temperature=0.2, top_p=None, max_tokens=100)
    assert request_parameters(CallParameters(), defaults, own_endpoint=False) == {"temperature": 0.2, "max_tokens": 100}
    wish = CallParameters(temperature=0.0, max_tokens=5, stop=("a",), seed=0)
    assert request_parameters(wish, defaults, own_endpoint=False) == {
        "temperature": 0.0, "max_tokens": 5, "stop": ["a"], "seed": 0
    }  # fmt: skip


def test_openai_itself_is_sent_the_name_that_its_newer_models_take():
    sent = request_parameters(CallParameters(max_tokens=5), route().targets[0].parameters, own_endpoint=True)
    assert sent == {"max_completion_tokens": 5}


def status_error(status: int, **headers: str) -> openai.APIStatusError:
    response = httpx.Response(status, headers=headers, request=httpx.Request("POST", "http://x"))
    return openai.APIStatusError("the provider's text", response=response, body=None)


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


REQUEST = httpx.Request("POST", "http://x")


@pytest.mark.parametrize(
    ("error", "error_class", "retry_after_s"),
    [
        pytest.param(status_error(401), ErrorClass.AUTH, None, id="401"),
        pytest.param(status_error(403), ErrorClass.AUTH, None, id="403"),
        pytest.param(status_error(404), ErrorClass.BAD_REQUEST, None, id="404"),
        pytest.param(status_error(408), ErrorClass.TIMEOUT, None, id="408"),
        pytest.param(status_error(422), ErrorClass.BAD_REQUEST, None, id="422"),
        pytest.param(status_error(429, **{"retry-after": "12"}), ErrorClass.RATE_LIMITED, 12.0, id="429"),
        pytest.param(status_error(429, **{"retry-after": "soon"}), ErrorClass.RATE_LIMITED, None, id="429-nonsense"),
        pytest.param(status_error(429, **{"retry-after": "-5"}), ErrorClass.RATE_LIMITED, None, id="429-negative"),
        pytest.param(status_error(503, **{"retry-after": "3"}), ErrorClass.SERVER_ERROR, 3.0, id="503"),
        pytest.param(
            caused_by(ModelThrottledException("x"), status_error(429, **{"retry-after": "9"})),
            ErrorClass.RATE_LIMITED,
            9.0,
            id="throttled",
        ),
        pytest.param(ContextWindowOverflowException("x"), ErrorClass.CONTEXT_LENGTH, None, id="context"),
        pytest.param(openai.APITimeoutError(REQUEST), ErrorClass.TIMEOUT, None, id="time-out"),
        pytest.param(openai.APIConnectionError(request=REQUEST), ErrorClass.CONNECTION, None, id="connection"),
        pytest.param(openai.APIError("x", REQUEST, body=None), ErrorClass.SERVER_ERROR, None, id="error-event"),
        pytest.param(httpx.RemoteProtocolError("x"), ErrorClass.INVALID_ANSWER, None, id="cut"),
        pytest.param(ValueError("no JSON"), ErrorClass.INVALID_ANSWER, None, id="no-json"),
        pytest.param(Unfinished(), ErrorClass.INVALID_ANSWER, None, id="unfinished"),
        pytest.param(Overdue("idle"), ErrorClass.TIMEOUT, None, id="overdue"),
    ],
)
def test_every_error_has_a_class_and_a_sentence_of_ours(
    error: Exception, error_class: ErrorClass, retry_after_s: float | None
):
    failure = ModelFailure(WHERE, classify(error))
    assert (failure.error_class, failure.retry_after_s) == (error_class, retry_after_s)
    assert "target 'main' of ModelRoute 'default'" in failure.message
    assert "the provider's text" not in failure.message
    assert "{" not in failure.message


def test_a_wrong_model_or_address_is_not_the_callers_fault():
    assert not ModelFailure(WHERE, classify(status_error(404))).is_callers_fault
    assert ModelFailure(WHERE, classify(status_error(400))).is_callers_fault
    assert ModelFailure(WHERE, Finding(ErrorClass.CONTEXT_LENGTH)).is_callers_fault
    assert not ModelFailure(WHERE, Finding(ErrorClass.AUTH)).is_callers_fault


def test_each_class_of_error_has_a_code_of_its_own():
    codes = {ModelFailure(WHERE, Finding(each)).code for each in ErrorClass}
    assert len(codes) == len(ErrorClass)


async def test_the_model_is_configured_by_its_route_alone():
    table = ModelRouteTable()
    table.update(route(), Keys({"target.main": "k"}))
    model = RoutedModel(table, CallParameters(), _Ignore())
    assert model.get_config() == {"model_id": "m"}
    with pytest.raises(TypeError, match="not set here: temperature"):
        model.update_config(temperature=1)


class _Ignore:
    def call_ended(self, call: CallSummary) -> None:
        """Nobody asks."""


def test_usage_adds_up():
    assert Usage(1, 2, 1) + Usage(3, 4) == Usage(4, 6, 1)
    assert Usage(3, 4).total_tokens == 7


@pytest.mark.parametrize(
    ("error", "canceled", "outcome"),
    [
        pytest.param(None, False, "ok", id="ok"),
        pytest.param(ErrorClass.AUTH, False, "Auth", id="error"),
        pytest.param(None, True, "canceled", id="canceled"),
    ],
)
def test_the_outcome_of_a_call_is_one_word(error: ErrorClass | None, canceled: bool, outcome: str):
    assert CallSummary(WHERE, "OpenAI", "m", 1.0, None, None, None, error, canceled).outcome == outcome
