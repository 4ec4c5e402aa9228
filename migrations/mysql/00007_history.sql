-- Two histories can be told apart, even where they are equally long.
--
-- changes.mark   random text that each change gets. A number alone says how many changes
--                there were, and not which: after a failover, or from an older copy, a
--                database can give the numbers out again that it has lost. NULL in entries
--                of before, and in those that an older version writes beside a newer one.

-- +goose NO TRANSACTION
-- +goose Up

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
                      WHERE table_schema = DATABASE() AND table_name = 'changes' AND column_name = 'mark') = 0,
                    'ALTER TABLE changes ADD COLUMN mark VARBINARY(64) NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
