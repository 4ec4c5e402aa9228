-- The first schema.
--
-- change_seq   one row, the number of the last change. Every change raises it
--              as its first statement and keeps the row locked until commit, so
--              numbers become visible in order and changes happen one by one.
-- changes      what each number was about, for the instances that poll. Purged.
-- server       one row: the number of the last cut of everything, and the
--              oldest schema version that a binary must know of to use this
--              database.
-- apis, clients, client_audiences, client_secrets, signing_keys, audit_events
--              the records. Lists are JSON; the audiences of a client are rows,
--              so that a foreign key ties each to its API. position 0 is the
--              default audience. client_secrets.added is the number of the
--              change that added the secret, which tells the older of two.
-- revoked_tokens
--              tokens cut one by one, until no verifier accepts them. Purged.
--
-- Times are milliseconds since 1970, in UTC. SQLite compares TEXT byte by byte.

-- +goose Up

CREATE TABLE change_seq (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;

INSERT INTO change_seq (id, n) VALUES (1, 0);

CREATE TABLE changes (
    number  INTEGER NOT NULL PRIMARY KEY,
    kind    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL
) STRICT;

CREATE TABLE server (
    id            INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch         INTEGER NOT NULL,
    oldest_schema INTEGER NOT NULL
) STRICT;

INSERT INTO server (id, epoch, oldest_schema) VALUES (1, 0, 1);

CREATE TABLE apis (
    id            TEXT    NOT NULL PRIMARY KEY,
    audience      TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    scopes        TEXT    NOT NULL,
    access_ttl_ms INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL
) STRICT;

CREATE TABLE clients (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    grants        TEXT    NOT NULL,
    redirect_uris TEXT    NOT NULL,
    scopes        TEXT    NOT NULL,
    auth          TEXT    NOT NULL,
    first_party   INTEGER NOT NULL,
    disabled      INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    created_ms    INTEGER NOT NULL
) STRICT;

CREATE TABLE client_audiences (
    client_id TEXT    NOT NULL REFERENCES clients (id),
    position  INTEGER NOT NULL,
    audience  TEXT    NOT NULL REFERENCES apis (audience),
    PRIMARY KEY (client_id, position)
) STRICT, WITHOUT ROWID;

-- Asked when an API is deleted.
CREATE INDEX client_audiences_audience ON client_audiences (audience);

CREATE TABLE client_secrets (
    client_id  TEXT    NOT NULL REFERENCES clients (id),
    id         TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    added      INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (client_id, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE revoked_tokens (
    jti        TEXT    NOT NULL PRIMARY KEY,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Asked by the purge.
CREATE INDEX revoked_tokens_expires_ms ON revoked_tokens (expires_ms);

CREATE TABLE signing_keys (
    kid           TEXT    NOT NULL PRIMARY KEY,
    ring          TEXT    NOT NULL,
    ordinal       INTEGER NOT NULL,
    public        BLOB    NOT NULL,
    sealed        BLOB,
    published_ms  INTEGER NOT NULL,
    signs_from_ms INTEGER NOT NULL,
    withdrawn_ms  INTEGER,
    UNIQUE (ring, ordinal)
) STRICT;

CREATE TABLE audit_events (
    id      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    details TEXT    NOT NULL
) STRICT;

-- Asked for the history of one record.
CREATE INDEX audit_events_subject ON audit_events (subject, id);
