# SPDX-License-Identifier: Apache-2.0
"""Whatever text comes, it can be sent and stored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_sdk.sessions.ids import is_session_id, is_task_id, new_session_id
from island_hopper_sdk.text import storable_json, valid_text

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))


@given(ANY_TEXT)
def test_valid_text_is_utf_8_and_keeps_what_was(text: str):
    valid = valid_text(text)
    valid.encode()
    if not any(0xD800 <= ord(character) < 0xE000 for character in text):
        assert valid == text


LEAVES = ANY_TEXT | st.integers(-(2**63), 2**63) | st.none() | st.booleans()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner))


@given(JSON)
def test_stored_json_can_be_read_back_and_has_no_nul(value: object):
    stored = json.loads(storable_json(value))
    assert "\0" not in json.dumps(stored, ensure_ascii=False).encode().decode()
    assert type(stored) is type(value)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param("a\0b", "a\ufffdb", id="nul"),
        pytest.param("\\u0000", "\\u0000", id="backslash-and-letters"),
        pytest.param("\\\0", "\\\ufffd", id="backslash-and-nul"),
        pytest.param("\ud800", "\ufffd", id="half-a-pair"),
        pytest.param("\ud83d\ude00", "😀", id="both-halves"),
    ],
)
def test_what_jsonb_refuses_is_replaced(text: str, stored: str):
    assert json.loads(storable_json({"text": text}))["text"] == stored


def test_new_ids_are_ids_and_never_the_same():
    ids = {new_session_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(is_session_id(each) for each in ids)


@pytest.mark.parametrize(
    ("text", "session", "task"),
    [
        pytest.param("a" * 7, False, False, id="too-short"),
        pytest.param("a" * 129, False, False, id="too-long"),
        pytest.param("with.dots", True, False, id="dots"),
        pytest.param("plain_id-1", True, True, id="plain"),
        pytest.param("white space", False, False, id="space"),
        pytest.param("newline!\n", False, False, id="newline"),
        pytest.param("wild*card>", False, False, id="wildcards"),
    ],
)
def test_ids_hold_what_subjects_and_headers_can(text: str, session: bool, task: bool):
    assert (is_session_id(text), is_task_id(text)) == (session, task)
