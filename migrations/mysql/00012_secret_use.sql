-- An administrator sees whether a secret of a client is still in use.
--
-- client_secrets.used_ms   the beginning of the hour in which the secret was last used, as
--                          some server noted it within a minute; NULL for never, or before
--                          this version.

-- +goose NO TRANSACTION
-- +goose Up

-- MySQL has no ADD COLUMN IF NOT EXISTS.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'client_secrets' AND column_name = 'used_ms') = 0,
                    'ALTER TABLE client_secrets ADD COLUMN used_ms BIGINT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
