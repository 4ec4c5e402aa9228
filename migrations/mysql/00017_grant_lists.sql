-- Grants are listed in pages, the newest first: of a user, of a client, of a login session,
-- or all.
--
-- Each of these orders is an index that ends with when the grant was made and its id, so
-- that a page reads its own rows and sorts nothing. The first three take the place of the
-- indices on the user, the client and the session alone. None has a column that rotation
-- writes: a refresh writes none of them.
--
-- Every statement here commits by itself, so each bears being run again.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_user_created') = 0,
                    'ALTER TABLE grants ADD KEY grants_user_created (user_id, created_ms, id)', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_user_id') > 0,
                    'ALTER TABLE grants DROP KEY grants_user_id', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_client_created') = 0,
                    'ALTER TABLE grants ADD KEY grants_client_created (client_id, created_ms, id)', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_client_id') > 0,
                    'ALTER TABLE grants DROP KEY grants_client_id', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_session_created') = 0,
                    'ALTER TABLE grants ADD KEY grants_session_created (session_id, created_ms, id)', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_session_id') > 0,
                    'ALTER TABLE grants DROP KEY grants_session_id', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'grants' AND index_name = 'grants_created') = 0,
                    'ALTER TABLE grants ADD KEY grants_created (created_ms, id)', 'DO 0');
PREPARE indexing FROM @statement;
EXECUTE indexing;
DEALLOCATE PREPARE indexing;
