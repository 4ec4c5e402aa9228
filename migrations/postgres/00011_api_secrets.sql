-- A server shares secrets with APIs whose tokens are signed by HS256.
--
-- api_secrets   kid is in the header of the tokens that the secret signs. sealed is the
--               secret, under the master key, bound to the API and the kid. signs marks
--               the one of an API that signs. They go with their API, also where an older
--               version deletes it, which does not know of this table.

-- +goose Up

CREATE TABLE api_secrets (
    kid        text COLLATE "C" NOT NULL PRIMARY KEY,
    api_id     text COLLATE "C" NOT NULL REFERENCES apis (id) ON DELETE CASCADE,
    sealed     bytea            NOT NULL,
    signs      boolean          NOT NULL,
    created_ms bigint           NOT NULL
);

-- Asked for each API.
CREATE INDEX api_secrets_api_id ON api_secrets (api_id);
