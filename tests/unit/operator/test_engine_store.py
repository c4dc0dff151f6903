# SPDX-License-Identifier: Apache-2.0
"""What the watches told, what our own writes returned, and who refers to whom."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_operator.engine.store import Key, References, Store

KEY = Key("Agent", "team", "a")
FINALIZER = "islandhopper.dev/externals"


def body(version: int, generation: int = 1, uid: str = "u", **meta: Any) -> dict[str, Any]:
    return {
        "metadata": {"uid": uid, "resourceVersion": str(version), "generation": generation, **meta},
        "status": {"seen": version},
    }


def version(store: Store) -> str:
    found = store.get(KEY)
    assert found is not None
    return str(found["metadata"]["resourceVersion"])


def test_an_older_body_of_the_same_object_is_not_kept() -> None:
    store = Store()
    store.put(KEY, body(9))
    store.put(KEY, body(10))
    store.put(KEY, body(9))
    assert version(store) == "10", "compared as numbers"
    store.put(KEY, body(3, uid="another"))
    assert version(store) == "3", "another object of the name"


NEWS = [
    pytest.param(body(2, generation=2), True, id="spec"),
    pytest.param(body(2, labels={"a": "b"}), True, id="label"),
    pytest.param(body(2, annotations={"islandhopper.dev/reconcile-at": "now"}), True, id="annotation"),
    pytest.param(body(2, deletionTimestamp="t"), True, id="deletion"),
    pytest.param(body(2, finalizers=["x"]), True, id="finalizer"),
    pytest.param(body(2, uid="another"), True, id="another-object"),
    pytest.param(body(2), False, id="status-alone"),
    pytest.param(body(2, managedFields=[1]), False, id="managed-fields"),
    pytest.param(
        body(2, annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"}), False, id="kubectls-copy"
    ),
]


@pytest.mark.parametrize(("after", "expected"), NEWS)
def test_news_is_what_tells_more_than_a_status(after: dict[str, Any], expected: bool) -> None:
    store = Store()
    assert store.is_news(KEY, body(1))
    assert store.is_news(KEY, after) is expected
    assert not store.is_news(KEY, after)


def test_a_change_that_came_in_before_its_event_is_news_all_the_same() -> None:
    """Kopf's index hears of each event before its handler does: spec changes were stored and never worked on."""
    store = Store()
    store.put(KEY, body(1))
    assert store.is_news(KEY, body(1))
    store.put(KEY, body(2, generation=2))
    assert store.is_news(KEY, body(2, generation=2))


def test_a_change_that_came_in_with_the_answer_to_our_write_is_news_when_its_event_comes() -> None:
    store = Store()
    store.put(KEY, body(1))
    store.is_news(KEY, body(1))
    store.absorb(KEY, body(3, generation=2))
    store.put(KEY, body(2, generation=2))
    assert store.is_news(KEY, body(2, generation=2)), "the person's edit, told late"
    assert version(store) == "3"


def test_our_own_finalizer_is_no_news() -> None:
    store = Store()
    store.put(KEY, body(1))
    store.is_news(KEY, body(1))
    store.absorb(KEY, body(2, finalizers=[FINALIZER]))
    assert not store.is_news(KEY, body(2, finalizers=[FINALIZER]))
    assert store.is_news(KEY, body(3)), "somebody took it off"


def test_an_answer_brings_nothing_back_that_the_watch_took_away() -> None:
    store = Store()
    store.put(KEY, body(1))
    store.remove(KEY)
    store.absorb(KEY, body(2))
    assert store.get(KEY) is None
    store.put(KEY, body(4, uid="another"))
    store.absorb(KEY, body(3))
    assert version(store) == "4"


def test_the_last_body_of_what_is_gone_is_kept_until_it_is_forgotten_or_comes_back() -> None:
    store = Store()
    store.put(KEY, body(1))
    store.remove(KEY)
    store.remove(KEY)
    assert (store.get(KEY), store.departed(KEY)) == (None, body(1, annotations={}))
    store.forget_departed(KEY)
    assert store.departed(KEY) is None
    store.put(KEY, body(2))
    store.remove(KEY)
    store.put(KEY, body(3, uid="another"))
    assert store.departed(KEY) is None


def test_what_is_large_and_never_read_is_not_kept() -> None:
    store = Store()
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "x" * 999, "mine": "y"}
    given_body = body(1, managedFields=[{}], annotations=annotations)
    store.put(KEY, given_body)
    found = store.get(KEY)
    assert found is not None
    assert "managedFields" not in found["metadata"]
    assert found["metadata"]["annotations"] == {"mine": "y"}
    assert "managedFields" in given_body["metadata"], "the caller's own is left as it was"


def test_keys_are_told_by_kind() -> None:
    store = Store()
    route = Key("ModelRoute", "team", "r")
    for key in (KEY, route):
        store.put(key, body(1))
    assert set(store.keys()) == {KEY, route}
    assert list(store.keys("ModelRoute")) == [route]
    assert str(route) == "ModelRoute team/r"
    assert str(Key("Namespace", "", "team")) == "Namespace team"


KEYS = st.sampled_from([Key("Secret", "n", name) for name in "abcd"])
SETS = st.lists(st.tuples(KEYS, st.frozensets(KEYS)), max_size=12)


@given(SETS)
def test_references_and_their_reverse_always_agree(changes: list[tuple[Key, frozenset[Key]]]) -> None:
    references = References()
    model: dict[Key, frozenset[Key]] = {}
    for referrer, targets in changes:
        assert references.set(referrer, targets) == model.get(referrer, frozenset()) ^ targets
        model[referrer] = targets
        reverse: defaultdict[Key, set[Key]] = defaultdict(set)
        for each, found in model.items():
            assert references.targets(each) == found
            for target in found:
                reverse[target].add(each)
        for target in {key for key, _ in changes}:
            assert references.of(target) == reverse[target]
