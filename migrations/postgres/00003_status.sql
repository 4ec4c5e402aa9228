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
    number    bigint NOT NULL PRIMARY KEY,
    purpose   text COLLATE "C" NOT NULL,
    life_ms   bigint NOT NULL,
    size      bigint NOT NULL,
    next      bigint NOT NULL,
    opened_ms bigint NOT NULL,
    closes_ms bigint
);

CREATE TABLE status_blocks (
    list         bigint NOT NULL,
    first        bigint NOT NULL,
    size         bigint NOT NULL,
    client_id    text COLLATE "C" NOT NULL,
    client_epoch bigint NOT NULL,
    server_epoch bigint NOT NULL,
    PRIMARY KEY (list, first)
);

CREATE INDEX status_blocks_client_id ON status_blocks (client_id);

CREATE TABLE status_listeners (
    client_id    text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    connected_ms bigint NOT NULL,
    seen_ms      bigint NOT NULL,
    acked        bigint NOT NULL,
    PRIMARY KEY (client_id, name)
);

CREATE INDEX status_listeners_id ON status_listeners (id);

ALTER TABLE grants ADD COLUMN status_list bigint;
ALTER TABLE grants ADD COLUMN status_index bigint;
ALTER TABLE grants ADD COLUMN former_list bigint;
ALTER TABLE grants ADD COLUMN former_index bigint;
ALTER TABLE revoked_tokens ADD COLUMN status_list bigint;
ALTER TABLE revoked_tokens ADD COLUMN status_index bigint;

CREATE INDEX grants_session_id ON grants (session_id);
