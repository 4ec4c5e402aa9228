-- Which API a client is, apart from which APIs it may ask for.
--
-- client_introspects   the APIs whose credentials a client is: it may introspect their
--                      tokens, and listens to the status stream for them. Beside it
--                      client_audiences has the APIs that it may ask tokens for.
--
-- Until now any client with a secret could introspect what was meant for one of its
-- audiences, or for an API with the client's own id as audience. The clients of before keep
-- that. An older version, which does not know of the table, can still delete a client, and
-- cannot delete an API that is named here.

-- +goose NO TRANSACTION
-- +goose Up

-- The key on audience is asked when an API is deleted.
CREATE TABLE IF NOT EXISTS client_introspects (
    client_id VARBINARY(255)  NOT NULL,
    audience  VARBINARY(1024) NOT NULL,
    PRIMARY KEY (client_id, audience),
    KEY client_introspects_audience (audience),
    CONSTRAINT client_introspects_client FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE,
    CONSTRAINT client_introspects_api FOREIGN KEY (audience) REFERENCES apis (audience)
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC;

INSERT IGNORE INTO client_introspects (client_id, audience)
SELECT a.client_id, a.audience FROM client_audiences a JOIN clients c ON c.id = a.client_id WHERE c.auth <> 'none'
 UNION
SELECT c.id, p.audience FROM clients c JOIN apis p ON p.audience = c.id WHERE c.auth <> 'none';
