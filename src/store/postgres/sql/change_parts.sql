-- Replaces the head of a session set and some of its parts. The first eleven parameters are those of change.sql.
--
-- $12  parts      their ids
-- $13  bytes      of each part; null removes it
--
-- Returns one row: when it was written, null if it was not; whether it came in time.
WITH now AS MATERIALIZED (
  SELECT coalesce($6, clock_timestamp()) AS now
), at AS MATERIALIZED (
  SELECT now, now <= coalesce($10, 'infinity') AS in_time, {settings} AS set FROM now
), done AS (
  UPDATE tower_user_sessions h
  SET version = $3, head = $4, user_id = $7, live = $8, last_activity = $9, kept_until = {moved}
  FROM at
  WHERE h.tag = $1 AND h.version = $2 AND at.in_time AND at.set IS NOT NULL
  RETURNING h.tag, coalesce($6, clock_timestamp()) AS written
{parts}
)
SELECT (SELECT written FROM done), at.in_time FROM at
