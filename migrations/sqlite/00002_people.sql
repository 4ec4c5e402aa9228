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
    id         TEXT NOT NULL PRIMARY KEY,
    username   TEXT NOT NULL UNIQUE,
    email      TEXT NOT NULL,
    roles      TEXT NOT NULL,
    claims     TEXT NOT NULL,
    password   TEXT NOT NULL,
    disabled   INTEGER NOT NULL,
    epoch      INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE login_sessions (
    id           TEXT NOT NULL PRIMARY KEY,
    secret_hash  BLOB NOT NULL UNIQUE,
    device_hash  BLOB NOT NULL,
    user_id      TEXT NOT NULL REFERENCES users (id),
    auth_ms      INTEGER NOT NULL,
    amr          TEXT NOT NULL,
    user_epoch   INTEGER NOT NULL,
    server_epoch INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL,
    seen_ms      INTEGER NOT NULL,
    idle_ms      INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL,
    ended_ms     INTEGER,
    address      TEXT NOT NULL,
    user_agent   TEXT NOT NULL
) STRICT;

CREATE INDEX login_sessions_device_hash ON login_sessions (device_hash);

CREATE INDEX login_sessions_user_id ON login_sessions (user_id);

CREATE INDEX login_sessions_expires_ms ON login_sessions (expires_ms);

CREATE TABLE consents (
    user_id    TEXT NOT NULL REFERENCES users (id),
    client_id  TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    granted_ms INTEGER NOT NULL,
    PRIMARY KEY (user_id, client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE codes (
    hash         BLOB NOT NULL PRIMARY KEY,
    client_id    TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    session_id   TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    audiences    TEXT NOT NULL,
    nonce        TEXT NOT NULL,
    challenge    TEXT NOT NULL,
    auth_ms      INTEGER NOT NULL,
    amr          TEXT NOT NULL,
    user_epoch   INTEGER NOT NULL,
    client_epoch INTEGER NOT NULL,
    server_epoch INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL,
    used_ms      INTEGER,
    grant_id     TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX codes_expires_ms ON codes (expires_ms);

CREATE TABLE grants (
    id              TEXT NOT NULL PRIMARY KEY,
    client_id       TEXT NOT NULL,
    user_id         TEXT NOT NULL,
    session_id      TEXT NOT NULL,
    scopes          TEXT NOT NULL,
    audiences       TEXT NOT NULL,
    auth_ms         INTEGER NOT NULL,
    amr             TEXT NOT NULL,
    offline         INTEGER NOT NULL,
    user_epoch      INTEGER NOT NULL,
    client_epoch    INTEGER NOT NULL,
    server_epoch    INTEGER NOT NULL,
    created_ms      INTEGER NOT NULL,
    expires_ms      INTEGER NOT NULL,
    generation      INTEGER NOT NULL,
    rotated_ms      INTEGER NOT NULL,
    refresh_iat_ms  INTEGER NOT NULL,
    refresh_exp_ms  INTEGER NOT NULL,
    refresh_kid     TEXT NOT NULL,
    refresh_version INTEGER NOT NULL,
    revoked_ms      INTEGER,
    revoked_why     TEXT NOT NULL
) STRICT;

CREATE INDEX grants_client_id ON grants (client_id);

CREATE INDEX grants_user_id ON grants (user_id);

CREATE INDEX grants_expires_ms ON grants (expires_ms);

CREATE TABLE guesses (
    subject  TEXT NOT NULL PRIMARY KEY,
    since_ms INTEGER NOT NULL,
    n        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX guesses_since_ms ON guesses (since_ms);

ALTER TABLE apis ADD COLUMN options TEXT;
ALTER TABLE clients ADD COLUMN options TEXT;
