-- A database remembers whose it is.
--
-- server.issuer   the issuer of the server that uses this database, which is in every
--                 token. NULL until a server has started on it; an older version, which
--                 does not know of the column, leaves it as it is.

-- +goose Up

ALTER TABLE server ADD COLUMN issuer TEXT;
