-- People sign in by their e-mail address.
--
-- users.email_form   the address in the form in which it is compared: with what is
--                    typed at sign-in, with other addresses and with user names
--                    (accounts.EmailForm). NULL where there is no address, or it has no
--                    such form. Not unique: users from before may share an address, which
--                    then signs none of them in, and keep it; from now on an address
--                    that somebody has is refused.
--
-- Filled in here is what this engine can work out as the server does: addresses of
-- printable ASCII, in small letters, of the length that a form may have. Odd ones (other
-- letters, or characters that have no form) stay NULL until a server has started, which
-- works them out; until then these sign nobody in and are not compared. The same goes
-- for rows that an older version writes beside a newer one: it leaves the column NULL
-- or as it was before the address was changed. Every reader therefore works out the form
-- of the address that it finds and believes no other, and servers renew such rows every
-- ten minutes.

-- +goose Up

ALTER TABLE users ADD COLUMN email_form text COLLATE "C";
CREATE INDEX users_email_form ON users (email_form);
UPDATE users SET email_form = lower(email COLLATE "C")
 WHERE email <> '' AND length(email) <= 200 AND email COLLATE "C" !~ '[^!-~]';
