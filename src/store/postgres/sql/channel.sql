-- The channel of the feed. Channels belong to the database, so the name has a hash of the schema in which the table is.
'tower_user_sessions_' || left(encode(sha256(convert_to(coalesce(
  (SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('{literal}')),
  current_schema()::text, ''
), 'UTF8')), 'hex'), 16)
