-- The audit log is read by action.
--
-- The index on (action, id) is asked for the last events of an action: for pages of the log,
-- and for how often things happened in the last days. Without it each would read the whole
-- log, which keeps everything. Rotation of refresh tokens writes no event.

-- +goose Up

CREATE INDEX audit_events_action ON audit_events (action, id);
