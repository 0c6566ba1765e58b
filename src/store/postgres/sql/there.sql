-- Whether the tables are there, with their index. It locks nothing.
SELECT to_regclass('{literal}_parts') IS NOT NULL AND EXISTS (
  SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  WHERE i.indrelid = to_regclass('{literal}') AND c.relname = 'user_sessions_kept_until'
)
