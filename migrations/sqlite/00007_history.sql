-- Two histories can be told apart, even where they are equally long.
--
-- changes.mark   random text that each change gets. A number alone says how many changes
--                there were, and not which: after a failover, or from an older copy, a
--                database can give the numbers out again that it has lost. NULL in entries
--                of before, and in those that an older version writes beside a newer one.

-- +goose Up

ALTER TABLE changes ADD COLUMN mark TEXT;
