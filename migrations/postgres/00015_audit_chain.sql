-- The audit log is a chain, which proves that nothing of it was changed.
--
-- audit_events.number   counts the events from 1 without gaps, in the order in which they
--                       were chained; digest is the SHA-256 over the former digest and the
--                       event. Both are NULL until then, also in what an older version
--                       writes beside a newer one. Events of before are chained, too.
-- audit_heads           the digest at a number, signed as a JWS: one for each transaction that
--                       has chained. newest_ms is the latest time of the events since the head
--                       before. An anchor is where the log begins after a purge.
-- leases                which instance does what only one of them is to do. fence grows with
--                       each use, so that a use proves that nobody else has had the lease in
--                       between. until_ms is by the clock of the database.

-- +goose Up

ALTER TABLE audit_events ADD COLUMN number bigint, ADD COLUMN digest bytea;

CREATE UNIQUE INDEX audit_events_number ON audit_events (number);

-- What is to be chained.
CREATE INDEX audit_events_unchained ON audit_events (id) WHERE number IS NULL;

CREATE TABLE audit_heads (
    number    bigint  NOT NULL PRIMARY KEY,
    digest    bytea   NOT NULL,
    newest_ms bigint  NOT NULL,
    signed_ms bigint  NOT NULL,
    anchor    boolean NOT NULL,
    kid       text    COLLATE "C" NOT NULL,
    signed    text    COLLATE "C" NOT NULL
);

CREATE TABLE leases (
    name     text   COLLATE "C" NOT NULL PRIMARY KEY,
    holder   text   COLLATE "C" NOT NULL,
    fence    bigint NOT NULL,
    until_ms bigint NOT NULL
);

INSERT INTO leases (name, holder, fence, until_ms) VALUES ('audit', '', 0, 0);
