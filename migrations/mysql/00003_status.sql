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

-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS status_lists (
    number    BIGINT NOT NULL PRIMARY KEY,
    purpose   VARBINARY(255) NOT NULL,
    life_ms   BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    next      BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL,
    closes_ms BIGINT
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS status_blocks (
    list         BIGINT NOT NULL,
    first        BIGINT NOT NULL,
    size         BIGINT NOT NULL,
    client_id    VARBINARY(255) NOT NULL,
    client_epoch BIGINT NOT NULL,
    server_epoch BIGINT NOT NULL,
    PRIMARY KEY (list, first),
    KEY status_blocks_client_id (client_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS status_listeners (
    client_id    VARBINARY(255) NOT NULL,
    name         VARBINARY(255) NOT NULL,
    id           VARBINARY(255) NOT NULL,
    connected_ms BIGINT NOT NULL,
    seen_ms      BIGINT NOT NULL,
    acked        BIGINT NOT NULL,
    PRIMARY KEY (client_id, name),
    KEY status_listeners_id (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND column_name = 'status_list') = 0,
                    'ALTER TABLE grants ADD COLUMN status_list BIGINT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND column_name = 'status_index') = 0,
                    'ALTER TABLE grants ADD COLUMN status_index BIGINT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND column_name = 'former_list') = 0,
                    'ALTER TABLE grants ADD COLUMN former_list BIGINT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND column_name = 'former_index') = 0,
                    'ALTER TABLE grants ADD COLUMN former_index BIGINT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'revoked_tokens' AND column_name = 'status_list') = 0,
                    'ALTER TABLE revoked_tokens ADD COLUMN status_list BIGINT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'revoked_tokens' AND column_name = 'status_index') = 0,
                    'ALTER TABLE revoked_tokens ADD COLUMN status_index BIGINT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_session_id') = 0,
                    'ALTER TABLE grants ADD KEY grants_session_id (session_id)', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
