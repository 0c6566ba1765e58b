-- Deletes a session set with its parts.
--
-- $1  tag
-- $2  version expected
-- $3  time    null for the server's
-- $4  wait    how long it waits for a lock, in ms
--
-- Returns one row: when it was deleted; null if it was not.
WITH at AS MATERIALIZED (
  SELECT {wait} AS set
), done AS (
  DELETE FROM tower_user_sessions h USING at
  WHERE h.tag = $1 AND h.version = $2 AND at.set IS NOT NULL
  RETURNING coalesce($3, clock_timestamp()) AS written
)
SELECT (SELECT written FROM done)
