# SPDX-License-Identifier: Apache-2.0
"""Durations and sizes mean what Go and Kubernetes mean by them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from island_hopper_api.agent import Quantity
from island_hopper_api.quantities import Bytes, Duration, seconds, size_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("500ms", 0.5, id="milliseconds"),
        pytest.param("30s", 30.0, id="seconds"),
        pytest.param("1h30m", 5400.0, id="compound"),
        pytest.param("1m30s250ms", 90.25, id="compound-with-ms"),
        pytest.param("720h", 2_592_000.0, id="a-month"),
        pytest.param("0s", 0.0, id="zero"),
    ],
)
def test_durations_in_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "30", "s", "1.5s", "-1s", "1d", "30 s", "30s\n", "\u0661s"], ids=repr)
def test_what_is_no_duration_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a number"):
        seconds(text)
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1Ki", 1024, id="Ki"),
        pytest.param("64Mi", 67_108_864, id="Mi"),
        pytest.param("2Gi", 2 << 30, id="Gi"),
    ],
)
def test_sizes_in_bytes(text: str, expected: int) -> None:
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "64", "64M", "064Mi", "0Mi", "1.5Gi", "Mi", "64Mi\n"], ids=repr)
def test_what_is_no_size_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size: write a whole number"):
        size_bytes(text)
    with pytest.raises(ValidationError):
        TypeAdapter(Bytes).validate_python(text)


PARTS = st.lists(st.tuples(st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h"])), min_size=1, max_size=4)


@given(PARTS)
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert seconds(text) == pytest.approx(sum(seconds(f"{number}{unit}") for number, unit in parts))
    assert TypeAdapter(Duration).validate_python(text) == text


@pytest.mark.parametrize("text", ["100m", "0.5", "1", "512Mi", "1.5Gi", "2k"])
def test_resource_quantities_that_kubernetes_takes_are_taken(text: str) -> None:
    assert TypeAdapter(Quantity).validate_python(text) == text


@pytest.mark.parametrize("text", ["", "-1", "1e3", "Mi", "1 Gi", ".5"], ids=repr)
def test_other_resource_quantities_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Quantity).validate_python(text)
