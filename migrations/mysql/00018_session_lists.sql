-- Login sessions are listed in pages, the newest first.
--
-- The index has that order, so that a page begins where the one before ended and sorts
-- nothing. It has no column that is written after the sign-in. (A MariaDB before 10.8 does
-- not keep the descending order, and sorts.)
--
-- The statement bears being run again.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'login_sessions' AND index_name = 'login_sessions_created') = 0,
                    'ALTER TABLE login_sessions ADD KEY login_sessions_created (created_ms DESC, id)', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;
