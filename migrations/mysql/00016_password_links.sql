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

-- +goose NO TRANSACTION
-- +goose Up

CREATE TABLE IF NOT EXISTS password_links (
    hash         VARBINARY(32)  NOT NULL PRIMARY KEY,
    user_id      VARBINARY(255) NOT NULL,
    kind         VARBINARY(255) NOT NULL,
    user_epoch   BIGINT         NOT NULL,
    server_epoch BIGINT         NOT NULL,
    created_ms   BIGINT         NOT NULL,
    expires_ms   BIGINT         NOT NULL,
    UNIQUE KEY password_links_user_kind (user_id, kind),
    CONSTRAINT password_links_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'temporary_password') = 0,
                    'ALTER TABLE users ADD COLUMN temporary_password VARBINARY(1024) NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
