-- Waits until the synchronous standbys have applied all that was committed before. It writes a message that nobody reads,
-- because a transaction that writes nothing waits for no standby.
SELECT pg_logical_emit_message(true, 'sessions', '') FROM set_config('synchronous_commit', 'remote_apply', true)
