-- Reads the head of a session set and one part.
--
-- $1  tag
-- $2  part   null for none
--
-- Returns one row: version, head, bytes of the part, the server's time, whether it is a standby. The first three are
-- null if there is no set.
SELECT h.version, h.head, (SELECT p.bytes FROM tower_user_sessions_parts p WHERE p.tag = h.tag AND p.part = $2),
  clock_timestamp(), pg_is_in_recovery()
FROM (VALUES (1)) AS one LEFT JOIN tower_user_sessions h ON h.tag = $1
