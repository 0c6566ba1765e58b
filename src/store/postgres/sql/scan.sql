-- Reads the heads of session sets in the order of their tags.
--
-- $1  after  the tag before the first one; null begins at the first
-- $2  most   how many
SELECT tag, head FROM tower_user_sessions WHERE tag > coalesce($1, ''::bytea) ORDER BY tag LIMIT $2
