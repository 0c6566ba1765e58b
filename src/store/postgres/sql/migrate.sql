-- Creates the tables. Running it again changes nothing.
--
-- The columns that change with each request have no index, and pages keep room, so that such updates are HOT: they
-- write no index entry. Most of them stand side by side, and the head comes last: the log of an update has only the bytes
-- from its first change to its last one.
CREATE TABLE IF NOT EXISTS tower_user_sessions (
  tag bytea PRIMARY KEY,
  kept_until timestamptz NOT NULL,
  user_id bytea,
  live integer NOT NULL,
  last_activity timestamptz,
  version bigint NOT NULL,
  head bytea NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS user_sessions_kept_until ON tower_user_sessions (kept_until);
CREATE TABLE IF NOT EXISTS tower_user_sessions_parts (
  tag bytea NOT NULL REFERENCES tower_user_sessions ON DELETE CASCADE,
  part bytea NOT NULL,
  bytes bytea NOT NULL,
  PRIMARY KEY (tag, part)
);
