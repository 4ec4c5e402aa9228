-- A server shares secrets with APIs whose tokens are signed by HS256.
--
-- api_secrets   kid is in the header of the tokens that the secret signs. sealed is the
--               secret, under the master key, bound to the API and the kid. signs marks
--               the one of an API that signs. They go with their API, also where an older
--               version deletes it, which does not know of this table.

-- +goose NO TRANSACTION
-- +goose Up

-- The key on api_id is asked for each API.
CREATE TABLE IF NOT EXISTS api_secrets (
    kid        VARBINARY(255) NOT NULL PRIMARY KEY,
    api_id     VARBINARY(255) NOT NULL,
    sealed     BLOB           NOT NULL,
    signs      BOOLEAN        NOT NULL,
    created_ms BIGINT         NOT NULL,
    KEY api_secrets_api_id (api_id),
    CONSTRAINT api_secrets_api FOREIGN KEY (api_id) REFERENCES apis (id) ON DELETE CASCADE
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;
