-- How well a user was authenticated is stored with how.
--
-- acr   the authentication context class (OpenID Connect Core 1.0 section 2) of a
--       login session, and of the codes and grants that came from it. Beside it amr
--       has the methods. Every row of before is a sign-in with a password, which is
--       class 1, and so is every row that an older version goes on writing: it does
--       not know of the column.

-- +goose Up

ALTER TABLE login_sessions ADD COLUMN acr text NOT NULL DEFAULT '1';
ALTER TABLE codes ADD COLUMN acr text NOT NULL DEFAULT '1';
ALTER TABLE grants ADD COLUMN acr text NOT NULL DEFAULT '1';
