-- Deletes session sets of which nothing is needed any more, at most 20. Waits for no lock.
--
-- The time is a value of its own, so that the index is read up to it. A join would read all of the index.
--
-- $1  time  null for the server's
DELETE FROM tower_user_sessions WHERE tag = ANY (ARRAY(
  SELECT h.tag FROM tower_user_sessions h
  WHERE h.kept_until < (
    SELECT coalesce($1, clock_timestamp()) WHERE set_config('synchronous_commit', 'off', true) IS NOT NULL
  )
  ORDER BY h.kept_until LIMIT 20 FOR UPDATE OF h SKIP LOCKED
))
