-- About how many session sets there are: few are counted, many are known from the last ANALYZE.
SELECT CASE WHEN c.reltuples > 10000 THEN c.reltuples::bigint
  ELSE (SELECT count(*) FROM (SELECT 1 FROM tower_user_sessions LIMIT 10001) AS few) END
FROM pg_class c WHERE c.oid = '{literal}'::regclass
