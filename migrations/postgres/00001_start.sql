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
-- Times are milliseconds since 1970, in UTC. Whatever is compared or ordered is
-- COLLATE "C", byte by byte: the database's own collation may fold case, and
-- may change with an upgrade of the operating system.
--
-- fillfactor leaves room in the page of a row that is only ever updated, so
-- that a new version of it stays there and no index is touched.

-- +goose Up

CREATE TABLE change_seq (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    n  bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO change_seq (id, n) VALUES (1, 0);

CREATE TABLE changes (
    number  bigint           NOT NULL PRIMARY KEY,
    kind    text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    at_ms   bigint           NOT NULL
);

CREATE TABLE server (
    id            bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch         bigint NOT NULL,
    oldest_schema bigint NOT NULL
) WITH (fillfactor = 10);

INSERT INTO server (id, epoch, oldest_schema) VALUES (1, 0, 1);

CREATE TABLE apis (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    audience      text COLLATE "C" NOT NULL UNIQUE,
    name          text             NOT NULL,
    scopes        text             NOT NULL,
    access_ttl_ms bigint           NOT NULL,
    created_ms    bigint           NOT NULL
);

CREATE TABLE clients (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    name          text             NOT NULL,
    grants        text             NOT NULL,
    redirect_uris text             NOT NULL,
    scopes        text             NOT NULL,
    auth          text COLLATE "C" NOT NULL,
    first_party   boolean          NOT NULL,
    disabled      boolean          NOT NULL,
    epoch         bigint           NOT NULL,
    created_ms    bigint           NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE client_audiences (
    client_id text COLLATE "C" NOT NULL REFERENCES clients (id),
    position  bigint           NOT NULL,
    audience  text COLLATE "C" NOT NULL REFERENCES apis (audience),
    PRIMARY KEY (client_id, position)
);

-- Asked when an API is deleted.
CREATE INDEX client_audiences_audience ON client_audiences (audience);

CREATE TABLE client_secrets (
    client_id  text COLLATE "C" NOT NULL REFERENCES clients (id),
    id         text COLLATE "C" NOT NULL,
    hash       bytea            NOT NULL,
    added      bigint           NOT NULL,
    created_ms bigint           NOT NULL,
    PRIMARY KEY (client_id, id)
);

CREATE TABLE revoked_tokens (
    jti        text COLLATE "C" NOT NULL PRIMARY KEY,
    expires_ms bigint           NOT NULL
);

-- Asked by the purge.
CREATE INDEX revoked_tokens_expires_ms ON revoked_tokens (expires_ms);

CREATE TABLE signing_keys (
    kid           text COLLATE "C" NOT NULL PRIMARY KEY,
    ring          text COLLATE "C" NOT NULL,
    ordinal       bigint           NOT NULL,
    public        bytea            NOT NULL,
    sealed        bytea,
    published_ms  bigint           NOT NULL,
    signs_from_ms bigint           NOT NULL,
    withdrawn_ms  bigint,
    UNIQUE (ring, ordinal)
);

CREATE TABLE audit_events (
    id      bigint           NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at_ms   bigint           NOT NULL,
    actor   text COLLATE "C" NOT NULL,
    action  text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    reason  text             NOT NULL,
    details text             NOT NULL
);

-- Asked for the history of one record.
CREATE INDEX audit_events_subject ON audit_events (subject, id);
