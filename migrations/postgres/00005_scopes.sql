-- What a grant holds, scope by scope, and whose e-mail address was verified.
--
-- codes.permissions,  the scopes with the API that offered each when it was
-- grants.permissions  allowed: a JSON list of "audience scope", and of "scope" for
--                     the server's own. NULL in rows of versions that had no such
--                     column; what they hold follows from scopes, audiences and what
--                     these APIs offer.
-- users.email_verified  whether someone verified the address; NULL where nobody
--                     said.

-- +goose Up

ALTER TABLE codes ADD COLUMN permissions text;
ALTER TABLE grants ADD COLUMN permissions text;
ALTER TABLE users ADD COLUMN email_verified boolean;
