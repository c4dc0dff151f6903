# SPDX-License-Identifier: Apache-2.0
"""One JSON object a line, and no text of an exception, which may repeat a secret."""

import json
import logging
import sys

from island_hopper_operator.runtime.logging import JsonFormatter

CANARY = "password-canary-93b1"


def formatted(error: BaseException) -> str:
    try:
        raise error
    except BaseException:
        record = logging.LogRecord("ours", logging.ERROR, __file__, 1, "pass %s failed", ("x",), sys.exc_info())
        return JsonFormatter().format(record)


def failing() -> Exception:
    try:
        raise ValueError(CANARY)
    except ValueError as cause:
        error = RuntimeError(CANARY)
        error.__cause__ = cause
        return error


def test_an_exception_is_told_by_kind_and_place_with_its_causes() -> None:
    line = json.loads(formatted(failing()))
    assert line["message"] == "pass x failed"
    assert [error["kind"] for error in line["errors"]] == ["builtins.RuntimeError", "builtins.ValueError"]
    assert any("failing" in frame for frame in line["errors"][1]["frames"])


def test_members_of_a_group_are_told_too() -> None:
    line = json.loads(formatted(ExceptionGroup(CANARY, [failing(), OSError(CANARY)])))
    kinds = [error["kind"] for error in line["errors"]]
    assert kinds == ["builtins.ExceptionGroup", "builtins.RuntimeError", "builtins.ValueError", "builtins.OSError"]


def test_no_text_of_an_exception_is_told() -> None:
    assert CANARY not in formatted(failing())
    assert CANARY not in formatted(ExceptionGroup(CANARY, [failing()]))
