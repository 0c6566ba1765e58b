-- Deletes session sets of which nothing is needed any more, at most 20. Waits for no lock.
--
-- The time is a value of its own, so that the index is read up to it. A join would read all of the index. While a
-- transaction from before lasts, the index keeps the entries of deleted sets. So it is read from where the last deletion ended.
--
-- $1  time   null for the server's
-- $2  from   sets that were not needed from an earlier moment on are left
--
-- Returns one row: where the next deletion begins.
WITH at AS MATERIALIZED (
  SELECT coalesce($1, clock_timestamp()) AS now FROM set_config('synchronous_commit', 'off', true)
), gone AS (
  DELETE FROM tower_user_sessions WHERE tag = ANY (ARRAY(
    SELECT h.tag FROM tower_user_sessions h
    WHERE h.kept_until >= $2 AND h.kept_until < (SELECT now FROM at)
    ORDER BY h.kept_until LIMIT 20 FOR UPDATE OF h SKIP LOCKED
  ))
  RETURNING kept_until
)
SELECT CASE count(*) WHEN 20 THEN max(kept_until) ELSE (SELECT now FROM at) END AS next FROM gone
