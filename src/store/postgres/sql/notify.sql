-- Sends messages of the feed. The lock that a commit with NOTIFY holds is not held while the disk writes.
--
-- $1  messages
SELECT pg_notify({channel}, message) FROM unnest($1) AS message, set_config('synchronous_commit', 'off', true)
