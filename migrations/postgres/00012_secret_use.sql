-- An administrator sees whether a secret of a client is still in use.
--
-- client_secrets.used_ms   the beginning of the hour in which the secret was last used, as
--                          some server noted it within a minute; NULL for never, or before
--                          this version.

-- +goose Up

ALTER TABLE client_secrets ADD COLUMN used_ms bigint;
