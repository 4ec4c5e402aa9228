-- People: who they are, where they are signed in, and what they allowed.
--
-- users          user names are normalised before they are stored. password is
--                an argon2id hash with its parameters (PHC string format).
-- login_sessions a browser in which someone signed in. The cookie's value is not
--                stored, only its SHA-256. device_hash is that of a longer-lived
--                cookie, by which guesses from strangers are told from those of
--                someone who has signed in there before. Ended ones stay until
--                what was allowed in them has expired. Purged.
-- consents       which scopes a user allowed a client, until taken back.
-- codes          authorization codes by their SHA-256, redeemed by a conditional
--                UPDATE; used ones stay for a while to tell replay. Purged.
-- grants         what one user allowed one client in one sign-in: the family of
--                its refresh tokens, one row however often they rotate. The
--                current refresh token is a function of id, generation and the
--                columns refresh_*; rotation writes these and rotated_ms alone, and
--                no index is on any of them. rotated_ms is by the clock of the
--                database. Purged.
-- guesses        failed attempts to sign in, by whom they are counted for. Purged.
--
-- The epochs are those under which a session, a code or a grant was made; it
-- stands while none of its owners has a higher one. apis.options and
-- clients.options are JSON objects: what has a default where it is absent.

-- +goose Up

CREATE TABLE users (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    username   text COLLATE "C" NOT NULL UNIQUE,
    email      text NOT NULL,
    roles      text NOT NULL,
    claims     text NOT NULL,
    password   text NOT NULL,
    disabled   boolean NOT NULL,
    epoch      bigint NOT NULL,
    created_ms bigint NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE login_sessions (
    id           text COLLATE "C" NOT NULL PRIMARY KEY,
    secret_hash  bytea NOT NULL UNIQUE,
    device_hash  bytea NOT NULL,
    user_id      text COLLATE "C" NOT NULL REFERENCES users (id),
    auth_ms      bigint NOT NULL,
    amr          text NOT NULL,
    user_epoch   bigint NOT NULL,
    server_epoch bigint NOT NULL,
    created_ms   bigint NOT NULL,
    seen_ms      bigint NOT NULL,
    idle_ms      bigint NOT NULL,
    expires_ms   bigint NOT NULL,
    ended_ms     bigint,
    address      text NOT NULL,
    user_agent   text NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX login_sessions_device_hash ON login_sessions (device_hash);

CREATE INDEX login_sessions_user_id ON login_sessions (user_id);

CREATE INDEX login_sessions_expires_ms ON login_sessions (expires_ms);

CREATE TABLE consents (
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id),
    client_id  text COLLATE "C" NOT NULL,
    scopes     text NOT NULL,
    granted_ms bigint NOT NULL,
    PRIMARY KEY (user_id, client_id)
);

CREATE TABLE codes (
    hash         bytea NOT NULL PRIMARY KEY,
    client_id    text COLLATE "C" NOT NULL,
    redirect_uri text NOT NULL,
    user_id      text COLLATE "C" NOT NULL,
    session_id   text COLLATE "C" NOT NULL,
    scopes       text NOT NULL,
    audiences    text NOT NULL,
    nonce        text NOT NULL,
    challenge    text COLLATE "C" NOT NULL,
    auth_ms      bigint NOT NULL,
    amr          text NOT NULL,
    user_epoch   bigint NOT NULL,
    client_epoch bigint NOT NULL,
    server_epoch bigint NOT NULL,
    expires_ms   bigint NOT NULL,
    used_ms      bigint,
    grant_id     text COLLATE "C"
);

CREATE INDEX codes_expires_ms ON codes (expires_ms);

CREATE TABLE grants (
    id              text COLLATE "C" NOT NULL PRIMARY KEY,
    client_id       text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    session_id      text COLLATE "C" NOT NULL,
    scopes          text NOT NULL,
    audiences       text NOT NULL,
    auth_ms         bigint NOT NULL,
    amr             text NOT NULL,
    offline         boolean NOT NULL,
    user_epoch      bigint NOT NULL,
    client_epoch    bigint NOT NULL,
    server_epoch    bigint NOT NULL,
    created_ms      bigint NOT NULL,
    expires_ms      bigint NOT NULL,
    generation      bigint NOT NULL,
    rotated_ms      bigint NOT NULL,
    refresh_iat_ms  bigint NOT NULL,
    refresh_exp_ms  bigint NOT NULL,
    refresh_kid     text COLLATE "C" NOT NULL,
    refresh_version bigint NOT NULL,
    revoked_ms      bigint,
    revoked_why     text NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX grants_client_id ON grants (client_id);

CREATE INDEX grants_user_id ON grants (user_id);

CREATE INDEX grants_expires_ms ON grants (expires_ms);

CREATE TABLE guesses (
    subject  text COLLATE "C" NOT NULL PRIMARY KEY,
    since_ms bigint NOT NULL,
    n        bigint NOT NULL
);

CREATE INDEX guesses_since_ms ON guesses (since_ms);

ALTER TABLE apis ADD COLUMN options text;
ALTER TABLE clients ADD COLUMN options text;
