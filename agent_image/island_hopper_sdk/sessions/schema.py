# SPDX-License-Identifier: Apache-2.0
"""The tables of sessions, as a list of changes that is only ever appended to.

Pods of the version before go on while the new one migrates, and after a rollback they run on the newer tables. So a
change may add a table, an index, a nullable column or one with a default; it drops or renames nothing that the version
before reads, and adds no constraint that its writes could break. What that version alone needs goes a release later.

Table and column names are those of the requirements. `user_id` holds the principal, `agent_id` `<namespace>/<agent>`:
together they own a session. Messages are rows of their own, since one JSONB document would be rewritten whole with each
turn; the view gives the document back.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Migration:
    """One change; applied once, in order of `version`."""

    version: int
    name: str
    sql: str


_SESSIONS = """
CREATE TABLE strands_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id varchar(255) NOT NULL UNIQUE,
    user_id varchar(255) NOT NULL,
    agent_id varchar(255) NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    context jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_activity timestamptz NOT NULL DEFAULT now(),
    message_count integer NOT NULL DEFAULT 0,
    token_count bigint NOT NULL DEFAULT 0,
    cost_total numeric(20, 10) NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 0,
    last_turn uuid,
    lease_holder varchar(320),
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_expires_at timestamptz
);
CREATE INDEX idx_sessions_user_id ON strands_sessions (user_id);
CREATE INDEX idx_sessions_agent_id ON strands_sessions (agent_id);
CREATE INDEX idx_sessions_created_at ON strands_sessions (created_at);
CREATE INDEX idx_sessions_last_activity ON strands_sessions (last_activity);
CREATE INDEX idx_sessions_expires_at ON strands_sessions (expires_at);

CREATE TABLE strand_session_messages (
    session_id varchar(255) NOT NULL REFERENCES strands_sessions (session_id) ON DELETE CASCADE,
    message_id integer NOT NULL,
    role varchar(16) NOT NULL,
    message jsonb NOT NULL,
    redaction jsonb,
    input_tokens integer,
    output_tokens integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (session_id, message_id)
);

CREATE VIEW strand_session_documents AS
SELECT session_id, jsonb_agg(coalesce(redaction, message) ORDER BY message_id) AS messages
FROM strand_session_messages GROUP BY session_id;
"""

# A session may be erased; what happened and what it cost stays without it.
_RECORDS = """
CREATE TABLE strand_session_analytics (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id varchar(255) REFERENCES strands_sessions (session_id) ON DELETE SET NULL,
    event_type varchar(50) NOT NULL,
    event_data jsonb,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    user_agent text,
    ip_address inet,
    region varchar(50)
);
CREATE INDEX idx_session_analytics_session_id ON strand_session_analytics (session_id);

CREATE TABLE strand_session_costs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    session_id varchar(255) REFERENCES strands_sessions (session_id) ON DELETE SET NULL,
    provider varchar(50),
    model varchar(256),
    target varchar(63),
    tokens_used bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost_amount numeric(20, 10),
    cost_currency varchar(3) NOT NULL DEFAULT 'USD',
    "timestamp" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_session_costs_session_id ON strand_session_costs (session_id);
"""

_TASKS = """
CREATE TABLE strand_session_tasks (
    agent_id varchar(255) NOT NULL,
    user_id varchar(255) NOT NULL,
    task_id varchar(128) NOT NULL,
    session_id varchar(255),
    event text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (agent_id, user_id, task_id)
);
"""

MIGRATIONS = (
    Migration(1, "sessions and their messages", _SESSIONS),
    Migration(2, "analytics and costs", _RECORDS),
    Migration(3, "tasks of the bus", _TASKS),
)
