-- Apps that sign people in by themselves.
--
-- login_sessions.client_id is the app that asked for the password and for which
-- alone the session was begun; empty for the sign-in page, whose sessions are for
-- all apps in that browser.

-- +goose Up

ALTER TABLE login_sessions ADD COLUMN client_id text COLLATE "C" NOT NULL DEFAULT '';
