-- Adds a session set where there is none. Takes and returns the same as change_parts.sql; $2 is not used.
WITH now AS MATERIALIZED (
  SELECT coalesce($6, clock_timestamp()) AS now
), at AS MATERIALIZED (
  SELECT now, now <= coalesce($10, 'infinity') AS in_time, {settings} AS set FROM now
), done AS (
  INSERT INTO tower_user_sessions AS h (tag, version, head, kept_until, user_id, live, last_activity)
  SELECT $1, $3, $4, {later}, $7, $8, $9 FROM at WHERE at.in_time AND at.set IS NOT NULL
  ON CONFLICT (tag) DO NOTHING
  RETURNING h.tag, coalesce($6, clock_timestamp()) AS written
{parts}
)
SELECT (SELECT written FROM done), at.in_time FROM at
