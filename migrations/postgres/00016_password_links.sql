-- A person sets a password by a link, and changes one that somebody else has set.
--
-- password_links             the links by which a user sets a password without knowing one: at
--                            most one of a kind for each user, and of its token only the
--                            hash. A link stands for as long as the epochs that it was made
--                            under: a new password raises the user's, also where an older
--                            version sets it, which does not know of the table. A cut and
--                            disabling do the same. Links go with their user.
-- users.temporary_password   the hash of a password that must be changed at the next sign-in;
--                            NULL if there is none. password is empty then, so that an older
--                            version lets nobody in by it. Where password is not empty, only
--                            that counts: an older version may have set it since.

-- +goose Up

CREATE TABLE password_links (
    hash         bytea            NOT NULL PRIMARY KEY,
    user_id      text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind         text COLLATE "C" NOT NULL,
    user_epoch   bigint           NOT NULL,
    server_epoch bigint           NOT NULL,
    created_ms   bigint           NOT NULL,
    expires_ms   bigint           NOT NULL,
    UNIQUE (user_id, kind)
);

ALTER TABLE users ADD COLUMN temporary_password text COLLATE "C";
