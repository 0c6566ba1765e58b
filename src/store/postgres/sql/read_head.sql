-- Reads the head of a session set.
--
-- $1  tag
--
-- Returns one row as read.sql does, without a part.
SELECT h.version, h.head, NULL::bytea, clock_timestamp(), pg_is_in_recovery()
FROM (VALUES (1)) AS one LEFT JOIN tower_user_sessions h ON h.tag = $1
