# SPDX-License-Identifier: Apache-2.0
"""Pure parts of the drivers, and what importing them costs."""

import itertools
import subprocess
import sys

import pytest
from claims import mark

from island_hopper_operator import errors
from island_hopper_operator.drivers.bucket_user import policy, same_policy
from island_hopper_operator.drivers.postgres_statements import Repair, repairs
from island_hopper_operator.externals import DatabaseDesired
from island_hopper_operator.externals.database import DatabaseField

DESIRED = DatabaseDesired(mark(), "base", connection_limit=20, statement_timeout_s=30, password="canary")


def test_every_field_has_a_repair_and_their_order_does_not_depend_on_the_callers():
    repair = Repair(DESIRED, None, "postgres", "SCRAM-SHA-256$...")
    fields = list(DatabaseField)
    assert repairs(repair, fields) == repairs(repair, reversed(fields))
    for field in DatabaseField:
        statements = repairs(repair, [field])
        # Taking attributes away names those that were found, here none.
        assert bool(statements) != field.name.endswith("POWERS")


def test_no_statement_holds_a_name_a_password_or_a_mark_in_its_template():
    repair = Repair(DESIRED, None, "postgres", "SCRAM-SHA-256$...")
    for statement in repairs(repair, DatabaseField):
        assert "base" not in statement.template
        assert "canary" not in f"{statement}"
        assert statement.needs


def test_a_new_part_is_marked_and_set_up_in_the_same_go():
    repair = Repair(DESIRED, None, "postgres", None)
    templates = [each.template for each in repairs(repair, [DatabaseField.RUNTIME_ROLE, DatabaseField.DATA_SCHEMA])]
    assert templates[0].startswith("CREATE ROLE")
    assert [template for template in templates if "COMMENT" in template] == [
        "COMMENT ON ROLE %I IS %L",
        "COMMENT ON SCHEMA %I IS %L",
    ]
    assert not any("PASSWORD" in template for template in templates)


STATEMENTS = policy("b")["Statement"]


@pytest.mark.parametrize(
    ("document", "same"),
    [
        pytest.param(policy("b"), True, id="as-sent"),
        pytest.param({"Statement": STATEMENTS[::-1]}, True, id="other-order"),
        pytest.param(
            {"Statement": [{**each, "Resource": each["Resource"][0]} for each in STATEMENTS]}, True, id="list-of-one"
        ),
        pytest.param(
            {"Statement": [{**each, "Action": each["Action"][::-1]} for each in STATEMENTS]}, True, id="actions"
        ),
        pytest.param(policy("c"), False, id="other-bucket"),
        pytest.param({"Statement": STATEMENTS[:1]}, False, id="less"),
        pytest.param({"Statement": [*STATEMENTS, STATEMENTS[0]]}, False, id="more"),
        pytest.param({"Statement": [{**each, "Effect": "Deny"} for each in STATEMENTS]}, False, id="effect"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_policies_are_compared_by_meaning(document, same):
    assert same_policy(document, policy("b")) is same


def test_importing_the_drivers_does_not_load_what_an_install_without_object_stores_needs_not():
    script = (
        "import sys, island_hopper_operator.drivers.bucket, island_hopper_operator.drivers.mailbox\n"
        "print([name for name in ('boto3', 'botocore') if name in sys.modules])"
    )
    paths = {"PYTHONPATH": ":".join(path for path in sys.path if path), "PATH": ""}
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=paths)
    assert output.stdout.strip() == "[]"


def test_the_errors_are_of_the_four_kinds_and_carry_reason_and_message():
    kinds = (errors.Retryable, errors.DependencyMissing, errors.Conflict, errors.Terminal)
    leaves = [each for kind in kinds for each in kind.__subclasses__()]
    for leaf in (leaf for leaf in leaves if leaf.__module__ == errors.__name__):
        error = leaf("what to do")
        assert str(error) == error.message == "what to do"
        assert error.reason
        assert sum(isinstance(error, kind) for kind in kinds) == 1
    for one, other in itertools.permutations(kinds, 2):
        assert not issubclass(one, other)
