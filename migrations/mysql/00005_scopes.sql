-- What a grant holds, scope by scope, and whose e-mail address was verified.
--
-- codes.permissions,  the scopes with the API that offered each when it was
-- grants.permissions  allowed: a JSON list of "audience scope", and of "scope" for
--                     the server's own. NULL in rows of versions that had no such
--                     column; what they hold follows from scopes, audiences and what
--                     these APIs offer.
-- users.email_verified  whether someone verified the address; NULL where nobody
--                     said.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'codes' AND column_name = 'permissions') = 0,
                    'ALTER TABLE codes ADD COLUMN permissions MEDIUMTEXT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND column_name = 'permissions') = 0,
                    'ALTER TABLE grants ADD COLUMN permissions MEDIUMTEXT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'email_verified') = 0,
                    'ALTER TABLE users ADD COLUMN email_verified BOOLEAN NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
