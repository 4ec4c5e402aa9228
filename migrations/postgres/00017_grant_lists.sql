-- Grants are listed in pages, the newest first: of a user, of a client, of a login session,
-- or all.
--
-- Each of these orders is an index that ends with when the grant was made and its id, so
-- that a page reads its own rows and sorts nothing. The first three take the place of the
-- indices on the user, the client and the session alone. None has a column that rotation
-- writes: a refresh writes none of them.

-- +goose Up

CREATE INDEX grants_user_created ON grants (user_id, created_ms, id);
DROP INDEX grants_user_id;
CREATE INDEX grants_client_created ON grants (client_id, created_ms, id);
DROP INDEX grants_client_id;
CREATE INDEX grants_session_created ON grants (session_id, created_ms, id);
DROP INDEX grants_session_id;
CREATE INDEX grants_created ON grants (created_ms, id);
