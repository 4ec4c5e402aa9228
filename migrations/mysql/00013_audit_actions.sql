-- The audit log is read by action.
--
-- The index on (action, id) is asked for the last events of an action: for pages of the log,
-- and for how often things happened in the last days. Without it each would read the whole
-- log, which keeps everything. Rotation of refresh tokens writes no event.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.statistics
                      WHERE table_schema = DATABASE() AND table_name = 'audit_events' AND index_name = 'audit_events_action') = 0,
                    'ALTER TABLE audit_events ADD KEY audit_events_action (action, id)', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
