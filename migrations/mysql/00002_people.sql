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
--
-- Every statement here commits by itself, so each bears being run again.

-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS users (
    id         VARBINARY(255) NOT NULL PRIMARY KEY,
    username   VARBINARY(255) NOT NULL,
    email      TEXT NOT NULL,
    roles      MEDIUMTEXT NOT NULL,
    claims     MEDIUMTEXT NOT NULL,
    password   TEXT NOT NULL,
    disabled   BOOLEAN NOT NULL,
    epoch      BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE KEY users_username (username)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS login_sessions (
    id           VARBINARY(255) NOT NULL PRIMARY KEY,
    secret_hash  VARBINARY(32) NOT NULL,
    device_hash  VARBINARY(32) NOT NULL,
    user_id      VARBINARY(255) NOT NULL,
    auth_ms      BIGINT NOT NULL,
    amr          MEDIUMTEXT NOT NULL,
    user_epoch   BIGINT NOT NULL,
    server_epoch BIGINT NOT NULL,
    created_ms   BIGINT NOT NULL,
    seen_ms      BIGINT NOT NULL,
    idle_ms      BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    ended_ms     BIGINT,
    address      TEXT NOT NULL,
    user_agent   TEXT NOT NULL,
    KEY login_sessions_expires_ms (expires_ms),
    KEY login_sessions_user_id (user_id),
    KEY login_sessions_device_hash (device_hash),
    UNIQUE KEY login_sessions_secret_hash (secret_hash),
    CONSTRAINT login_sessions_users FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS consents (
    user_id    VARBINARY(255) NOT NULL,
    client_id  VARBINARY(255) NOT NULL,
    scopes     MEDIUMTEXT NOT NULL,
    granted_ms BIGINT NOT NULL,
    PRIMARY KEY (user_id, client_id),
    CONSTRAINT consents_users FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS codes (
    hash         VARBINARY(32) NOT NULL PRIMARY KEY,
    client_id    VARBINARY(255) NOT NULL,
    redirect_uri TEXT NOT NULL,
    user_id      VARBINARY(255) NOT NULL,
    session_id   VARBINARY(255) NOT NULL,
    scopes       MEDIUMTEXT NOT NULL,
    audiences    MEDIUMTEXT NOT NULL,
    nonce        TEXT NOT NULL,
    challenge    VARBINARY(255) NOT NULL,
    auth_ms      BIGINT NOT NULL,
    amr          MEDIUMTEXT NOT NULL,
    user_epoch   BIGINT NOT NULL,
    client_epoch BIGINT NOT NULL,
    server_epoch BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    used_ms      BIGINT,
    grant_id     VARBINARY(255),
    KEY codes_expires_ms (expires_ms)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS grants (
    id              VARBINARY(255) NOT NULL PRIMARY KEY,
    client_id       VARBINARY(255) NOT NULL,
    user_id         VARBINARY(255) NOT NULL,
    session_id      VARBINARY(255) NOT NULL,
    scopes          MEDIUMTEXT NOT NULL,
    audiences       MEDIUMTEXT NOT NULL,
    auth_ms         BIGINT NOT NULL,
    amr             MEDIUMTEXT NOT NULL,
    offline         BOOLEAN NOT NULL,
    user_epoch      BIGINT NOT NULL,
    client_epoch    BIGINT NOT NULL,
    server_epoch    BIGINT NOT NULL,
    created_ms      BIGINT NOT NULL,
    expires_ms      BIGINT NOT NULL,
    generation      BIGINT NOT NULL,
    rotated_ms      BIGINT NOT NULL,
    refresh_iat_ms  BIGINT NOT NULL,
    refresh_exp_ms  BIGINT NOT NULL,
    refresh_kid     VARBINARY(255) NOT NULL,
    refresh_version BIGINT NOT NULL,
    revoked_ms      BIGINT,
    revoked_why     TEXT NOT NULL,
    KEY grants_expires_ms (expires_ms),
    KEY grants_user_id (user_id),
    KEY grants_client_id (client_id)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS guesses (
    subject  VARBINARY(255) NOT NULL PRIMARY KEY,
    since_ms BIGINT NOT NULL,
    n        BIGINT NOT NULL,
    KEY guesses_since_ms (since_ms)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- MySQL has no ADD COLUMN IF NOT EXISTS.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'apis' AND column_name = 'options') = 0,
                    'ALTER TABLE apis ADD COLUMN options MEDIUMTEXT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

-- MySQL has no ADD COLUMN IF NOT EXISTS.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'clients' AND column_name = 'options') = 0,
                    'ALTER TABLE clients ADD COLUMN options MEDIUMTEXT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
