-- ingam apply knows what it has made.
--
-- applied   the records that were made or changed to what a file says. version is what was
--           written then: if the record is another one by now, somebody has changed it by
--           hand. created_ms is when the record was made: if somebody has deleted it and made
--           another one by the same name, that is not one of a file.

-- +goose Up

CREATE TABLE applied (
    kind       text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    version    text COLLATE "C" NOT NULL,
    created_ms bigint NOT NULL,
    PRIMARY KEY (kind, id)
);
