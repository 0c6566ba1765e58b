-- Replaces the head of a session set, unless another write of it is under way. A crash may lose it.
--
-- $1  tag
-- $2  version expected
-- $3  version afterwards
-- $4  head
-- $5  kept until
-- $6  time       null for the server's
-- $7  user id    null for none
-- $8  how many sessions are live
-- $9  last activity
--
-- Returns one row: when it was written; null if it was not.
WITH at AS MATERIALIZED (
  SELECT coalesce($6, clock_timestamp()) AS now, set_config('synchronous_commit', 'off', true) AS set
), free AS (
  SELECT h.tag FROM tower_user_sessions h WHERE h.tag = $1 AND h.version = $2 FOR NO KEY UPDATE SKIP LOCKED
), done AS (
  UPDATE tower_user_sessions h
  SET version = $3, head = $4, user_id = $7, live = $8, last_activity = $9, kept_until = {moved}
  FROM at, free
  WHERE h.tag = free.tag AND h.version = $2 AND at.set IS NOT NULL
  RETURNING coalesce($6, clock_timestamp()) AS written
)
SELECT (SELECT written FROM done)
