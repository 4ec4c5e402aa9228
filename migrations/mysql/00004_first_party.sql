-- Apps that sign people in by themselves.
--
-- login_sessions.client_id is the app that asked for the password and for which
-- alone the session was begun; empty for the sign-in page, whose sessions are for
-- all apps in that browser.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'login_sessions' AND column_name = 'client_id') = 0,
                    'ALTER TABLE login_sessions ADD COLUMN client_id VARBINARY(255) NOT NULL DEFAULT \'\'', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
