# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_cli.node.spec.expansion import expand

VARIABLES = {"A": "1", "EMPTY": "", "DOLLAR": "$(A)"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        pytest.param("plain", "plain", id="nothing-to-do"),
        pytest.param("$(A)-$(A)", "1-1", id="every-reference"),
        pytest.param("[$(EMPTY)]", "[]", id="an-empty-value-is-a-value"),
        pytest.param("$(UNKNOWN)", "$(UNKNOWN)", id="unknown-names-stay"),
        pytest.param("$$(A)", "$(A)", id="an-escaped-reference"),
        pytest.param("$$$(A)", "$1", id="an-escaped-dollar-before-a-reference"),
        pytest.param("$$", "$", id="an-escaped-dollar"),
        pytest.param("100$", "100$", id="a-dollar-at-the-end"),
        pytest.param("$A ${A}", "$A ${A}", id="a-shell's-own-spelling-is-left-to-the-shell"),
        pytest.param("$(A", "$(A", id="a-reference-without-its-end"),
        pytest.param("$(DOLLAR)", "$(A)", id="values-are-not-expanded-again"),
    ],
)
def test_references_are_expanded_as_kubernetes_defines_it(text, expanded):
    assert expand(text, VARIABLES) == expanded


@given(st.text())
def test_a_text_whose_dollars_are_escaped_comes_back_as_it_was(text):
    assert expand(text.replace("$", "$$"), VARIABLES) == text
