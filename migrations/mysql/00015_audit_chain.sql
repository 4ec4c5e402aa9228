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

-- +goose NO TRANSACTION
-- +goose Up

-- The key on number is also asked for what is to be chained, where it is NULL.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'audit_events' AND column_name = 'number') = 0,
                    'ALTER TABLE audit_events ADD COLUMN number BIGINT NULL, ADD COLUMN digest VARBINARY(32) NULL, ADD UNIQUE KEY audit_events_number (number)', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

CREATE TABLE IF NOT EXISTS audit_heads (
    number    BIGINT          NOT NULL PRIMARY KEY,
    digest    VARBINARY(32)   NOT NULL,
    newest_ms BIGINT          NOT NULL,
    signed_ms BIGINT          NOT NULL,
    anchor    BOOLEAN         NOT NULL,
    kid       VARBINARY(255)  NOT NULL,
    signed    VARBINARY(2048) NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS leases (
    name     VARBINARY(64) NOT NULL PRIMARY KEY,
    holder   VARBINARY(64) NOT NULL,
    fence    BIGINT        NOT NULL,
    until_ms BIGINT        NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

INSERT IGNORE INTO leases (name, holder, fence, until_ms) VALUES ('audit', '', 0, 0);
