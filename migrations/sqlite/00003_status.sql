-- Status lists: how those who check tokens without asking learn of cuts.
--
-- status_lists     a list of bits, one for each token or grant that refers to it;
--                  its number is that of the change that opened it. next is the
--                  first index that nobody has; closes_ms is from when nobody may
--                  issue for it, NULL while that is not decided. life_ms is the
--                  longest that a token that refers to it lives. Purged.
-- status_blocks    indices that a server process took for tokens of one client,
--                  with the epochs as they were: a cut of the client sets all of
--                  them, whether they were used or not. Purged with the list.
-- status_listeners verifiers that listen to the stream, and what they have
--                  acknowledged. seen_ms is when the server that they listen to
--                  last wrote. Purged.
--
-- A grant holds an index in a list, and the one that it had in the list before
-- for as long as tokens may refer to it. The bits themselves are not stored: they
-- follow from grants, blocks, epochs and revoked_tokens.

-- +goose Up

CREATE TABLE status_lists (
    number    INTEGER NOT NULL PRIMARY KEY,
    purpose   TEXT NOT NULL,
    life_ms   INTEGER NOT NULL,
    size      INTEGER NOT NULL,
    next      INTEGER NOT NULL,
    opened_ms INTEGER NOT NULL,
    closes_ms INTEGER
) STRICT;

CREATE TABLE status_blocks (
    list         INTEGER NOT NULL,
    first        INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    client_id    TEXT NOT NULL,
    client_epoch INTEGER NOT NULL,
    server_epoch INTEGER NOT NULL,
    PRIMARY KEY (list, first)
) STRICT, WITHOUT ROWID;

CREATE INDEX status_blocks_client_id ON status_blocks (client_id);

CREATE TABLE status_listeners (
    client_id    TEXT NOT NULL,
    name         TEXT NOT NULL,
    id           TEXT NOT NULL,
    connected_ms INTEGER NOT NULL,
    seen_ms      INTEGER NOT NULL,
    acked        INTEGER NOT NULL,
    PRIMARY KEY (client_id, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX status_listeners_id ON status_listeners (id);

ALTER TABLE grants ADD COLUMN status_list INTEGER;
ALTER TABLE grants ADD COLUMN status_index INTEGER;
ALTER TABLE grants ADD COLUMN former_list INTEGER;
ALTER TABLE grants ADD COLUMN former_index INTEGER;
ALTER TABLE revoked_tokens ADD COLUMN status_list INTEGER;
ALTER TABLE revoked_tokens ADD COLUMN status_index INTEGER;

CREATE INDEX grants_session_id ON grants (session_id);
