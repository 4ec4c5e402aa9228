-- The first schema, for MySQL 8 and MariaDB 10.6 or newer.
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
-- Times are milliseconds since 1970, in UTC. Whatever is compared is VARBINARY:
-- the collations that both servers have ignore a space at the end, and the
-- default ones fold case too, so `a`, `A` and `a ` would be one client.
--
-- Every statement here commits by itself, so each bears being run again.

-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS change_seq (
    id BIGINT NOT NULL PRIMARY KEY,
    n  BIGINT NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO change_seq (id, n) VALUES (1, 0);

CREATE TABLE IF NOT EXISTS changes (
    number  BIGINT          NOT NULL PRIMARY KEY,
    kind    VARBINARY(32)   NOT NULL,
    subject VARBINARY(1024) NOT NULL,
    at_ms   BIGINT          NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS server (
    id            BIGINT NOT NULL PRIMARY KEY,
    epoch         BIGINT NOT NULL,
    oldest_schema BIGINT NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO server (id, epoch, oldest_schema) VALUES (1, 0, 1);

CREATE TABLE IF NOT EXISTS apis (
    id            VARBINARY(255)  NOT NULL PRIMARY KEY,
    audience      VARBINARY(1024) NOT NULL,
    name          TEXT            NOT NULL,
    scopes        MEDIUMTEXT      NOT NULL,
    access_ttl_ms BIGINT          NOT NULL,
    created_ms    BIGINT          NOT NULL,
    UNIQUE KEY apis_audience (audience)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS clients (
    id            VARBINARY(255) NOT NULL PRIMARY KEY,
    name          TEXT           NOT NULL,
    grants        TEXT           NOT NULL,
    redirect_uris MEDIUMTEXT     NOT NULL,
    scopes        MEDIUMTEXT     NOT NULL,
    auth          VARBINARY(64)  NOT NULL,
    first_party   BOOLEAN        NOT NULL,
    disabled      BOOLEAN        NOT NULL,
    epoch         BIGINT         NOT NULL,
    created_ms    BIGINT         NOT NULL
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The key on audience is also asked when an API is deleted.
CREATE TABLE IF NOT EXISTS client_audiences (
    client_id VARBINARY(255)  NOT NULL,
    position  BIGINT          NOT NULL,
    audience  VARBINARY(1024) NOT NULL,
    PRIMARY KEY (client_id, position),
    KEY client_audiences_audience (audience),
    CONSTRAINT client_audiences_client FOREIGN KEY (client_id) REFERENCES clients (id),
    CONSTRAINT client_audiences_api FOREIGN KEY (audience) REFERENCES apis (audience)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS client_secrets (
    client_id  VARBINARY(255) NOT NULL,
    id         VARBINARY(255) NOT NULL,
    hash       VARBINARY(32)  NOT NULL,
    added      BIGINT         NOT NULL,
    created_ms BIGINT         NOT NULL,
    PRIMARY KEY (client_id, id),
    CONSTRAINT client_secrets_client FOREIGN KEY (client_id) REFERENCES clients (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- The key on expires_ms is asked by the purge.
CREATE TABLE IF NOT EXISTS revoked_tokens (
    jti        VARBINARY(255) NOT NULL PRIMARY KEY,
    expires_ms BIGINT         NOT NULL,
    KEY revoked_tokens_expires_ms (expires_ms)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS signing_keys (
    kid           VARBINARY(255) NOT NULL PRIMARY KEY,
    ring          VARBINARY(32)  NOT NULL,
    ordinal       BIGINT         NOT NULL,
    public        BLOB           NOT NULL,
    sealed        BLOB,
    published_ms  BIGINT         NOT NULL,
    signs_from_ms BIGINT         NOT NULL,
    withdrawn_ms  BIGINT,
    UNIQUE KEY signing_keys_ring (ring, ordinal)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

-- The key on subject is asked for the history of one record.
CREATE TABLE IF NOT EXISTS audit_events (
    id      BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at_ms   BIGINT          NOT NULL,
    actor   VARBINARY(512)  NOT NULL,
    action  VARBINARY(64)   NOT NULL,
    subject VARBINARY(1024) NOT NULL,
    reason  TEXT            NOT NULL,
    details MEDIUMTEXT      NOT NULL,
    KEY audit_events_subject (subject, id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
