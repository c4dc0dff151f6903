# SPDX-License-Identifier: Apache-2.0
"""Who may take what: the whole table, and the words that people read."""

import pytest
from claims import claim, mark
from hypothesis import given
from hypothesis import strategies as st

from island_hopper_api.reasons import Reason
from island_hopper_operator.drivers.base import Ours, Refused, TakeOver, decide, require
from island_hopper_operator.errors import BucketOwnedByOther
from island_hopper_operator.externals import Mark

OURS = mark()
EARLIER = mark(uid="uid-0")
OTHER = mark("other", uid="uid-9")
ELSEWHERE = mark(cluster_id="cluster-2")


@pytest.mark.parametrize(
    ("found", "by", "expected"),
    [
        pytest.param(OURS, claim(), Ours(), id="ours"),
        pytest.param(OURS, claim(adopt=True, allowed=False, alive=False), Ours(), id="ours-whatever-else"),
        pytest.param(None, claim(adopt=True), TakeOver(None), id="no-mark-adopted"),
        pytest.param(EARLIER, claim(adopt=True), TakeOver(EARLIER), id="earlier-object-of-the-name-adopted"),
        pytest.param(OTHER, claim(adopt=True, alive=False), TakeOver(OTHER), id="gone-owner-adopted"),
        pytest.param(ELSEWHERE, claim(adopt=True, alive=False), TakeOver(ELSEWHERE), id="gone-in-another-cluster"),
    ],
)
def test_what_may_be_touched(found, by, expected):
    assert decide(found, OURS, by, "bucket 'b'") == expected


@pytest.mark.parametrize(
    ("found", "by", "reason", "message"),
    [
        pytest.param(None, claim(), Reason.CONFLICT, "bears no owner's mark: set spec.adopt: true", id="no-mark"),
        pytest.param(
            EARLIER,
            claim(),
            Reason.CONFLICT,
            "was left by an earlier StorageBinding team/main with UID uid-0, deleted since: set spec.adopt: true",
            id="earlier-object-of-the-name",
        ),
        pytest.param(
            OTHER,
            claim(alive=False),
            Reason.CONFLICT,
            "was left by StorageBinding team/other of cluster cluster-1, which is gone: set spec.adopt: true",
            id="gone-owner",
        ),
        pytest.param(
            OTHER, claim(adopt=True), Reason.CONFLICT, "belongs to StorageBinding team/other", id="living-owner-always"
        ),
        pytest.param(ELSEWHERE, claim(adopt=True), Reason.CONFLICT, "of cluster cluster-2", id="another-cluster"),
        pytest.param(
            None, claim(adopt=True, allowed=False), Reason.ADOPTION_NOT_ALLOWED, "its class does not allow", id="class"
        ),
        pytest.param(
            EARLIER, claim(allowed=False), Reason.CONFLICT, "its class does not allow", id="class-and-no-adopt"
        ),
        pytest.param(
            EARLIER,
            claim(kind="Agent", adopt=None),
            Reason.CONFLICT,
            "left by an earlier Agent team/main with UID uid-0, deleted since: remove it by hand",
            id="kind-without-adopt",
        ),
    ],
)
def test_what_is_refused_and_why(found, by, reason, message):
    decision = decide(found, OURS, by, "bucket 'b'")
    assert isinstance(decision, Refused)
    assert decision.reason is reason
    assert decision.message.startswith("bucket 'b' ")
    assert message in decision.message


def test_liveness_is_not_asked_of_ours_nor_of_an_earlier_object_of_the_name():
    def is_alive(_):
        raise AssertionError("asked")

    by = claim(adopt=True)
    asking = type(by)(by.kind, by.adopt, by.adoption_allowed, is_alive)
    assert isinstance(decide(OURS, OURS, asking, "x"), Ours)
    assert isinstance(decide(EARLIER, OURS, asking, "x"), TakeOver)
    assert isinstance(decide(None, OURS, asking, "x"), TakeOver)


def test_of_several_parts_one_that_is_refused_refuses_all():
    with pytest.raises(BucketOwnedByOther, match=r"^two belongs"):
        require([("one", OURS), ("two", OTHER), ("three", None)], OURS, claim(adopt=True), BucketOwnedByOther)
    taken = require([("one", OURS), ("two", EARLIER), ("three", None)], OURS, claim(adopt=True), BucketOwnedByOther)
    assert taken == (EARLIER, None)


text = st.text(min_size=1, max_size=80)


@given(st.builds(Mark, text, text, text, text), st.dictionaries(st.text(), st.text()))
def test_a_mark_survives_comments_and_tags_beside_others(one, others):
    assert Mark.from_json(one.to_json()) == one
    assert Mark.from_dict({**others, **one.to_dict()}) == one
    assert one.to_json() == one.to_json()


@pytest.mark.parametrize("comment", [None, "", "mine", "[]", "{}", "7", '{"islandhopper.dev/uid":"x"}', '{"a":1}'])
def test_a_comment_that_is_no_mark_is_none(comment):
    assert Mark.from_json(comment) is None


def test_a_mark_that_lacks_a_part_is_none():
    for key in OURS.to_dict():
        assert Mark.from_dict({**OURS.to_dict(), key: ""}) is None
