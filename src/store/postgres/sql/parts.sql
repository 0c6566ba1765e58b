-- Writes the parts of a session set that change_parts.sql or insert.sql has written.
), put AS (
  INSERT INTO tower_user_sessions_parts (tag, part, bytes)
  SELECT done.tag, p.part, p.bytes FROM done, unnest($12, $13) AS p(part, bytes) WHERE p.bytes IS NOT NULL
  ON CONFLICT (tag, part) DO UPDATE SET bytes = excluded.bytes
), gone AS (
  DELETE FROM tower_user_sessions_parts x USING done, unnest($12, $13) AS p(part, bytes)
  WHERE x.tag = done.tag AND x.part = p.part AND p.bytes IS NULL
)
