-- A database remembers whose it is.
--
-- server.issuer   the issuer of the server that uses this database, which is in every
--                 token. NULL until a server has started on it; an older version, which
--                 does not know of the column, leaves it as it is.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'server' AND column_name = 'issuer') = 0,
                    'ALTER TABLE server ADD COLUMN issuer VARBINARY(2048) NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
