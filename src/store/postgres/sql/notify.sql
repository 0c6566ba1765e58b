-- Sends messages of the feed. The lock that a commit with NOTIFY holds is not held while the disk writes.
--
-- $1  channel
-- $2  messages
SELECT pg_notify($1, message) FROM unnest($2) AS message, set_config('synchronous_commit', 'off', true)
