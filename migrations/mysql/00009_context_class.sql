-- How well a user was authenticated is stored with how.
--
-- acr   the authentication context class (OpenID Connect Core 1.0 section 2) of a
--       login session, and of the codes and grants that came from it. Beside it amr
--       has the methods. Every row of before is a sign-in with a password, which is
--       class 1, and so is every row that an older version goes on writing: it does
--       not know of the column.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'login_sessions' AND column_name = 'acr') = 0,
                    'ALTER TABLE login_sessions ADD COLUMN acr VARBINARY(255) NOT NULL DEFAULT \'1\'', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'codes' AND column_name = 'acr') = 0,
                    'ALTER TABLE codes ADD COLUMN acr VARBINARY(255) NOT NULL DEFAULT \'1\'', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND column_name = 'acr') = 0,
                    'ALTER TABLE grants ADD COLUMN acr VARBINARY(255) NOT NULL DEFAULT \'1\'', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
