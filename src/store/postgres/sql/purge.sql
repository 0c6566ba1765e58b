-- Deletes session sets of which nothing is needed any more, at most 20. Waits for no lock.
--
-- $1  time  null for the server's
WITH at AS MATERIALIZED (
  SELECT coalesce($1, clock_timestamp()) AS now, set_config('synchronous_commit', 'off', true) AS set
)
DELETE FROM tower_user_sessions WHERE tag = ANY (ARRAY(
  SELECT h.tag FROM at, tower_user_sessions h
  WHERE h.kept_until < at.now AND at.set IS NOT NULL
  ORDER BY h.kept_until LIMIT 20 FOR UPDATE OF h SKIP LOCKED
))
