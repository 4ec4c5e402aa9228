-- Login sessions are listed in pages, the newest first.
--
-- The index has that order, so that a page begins where the one before ended and sorts
-- nothing. It has no column that is written after the sign-in.

-- +goose Up

CREATE INDEX login_sessions_created ON login_sessions (created_ms DESC, id);
