-- Replaces the head of a session set.
--
-- $1   tag
-- $2   version expected
-- $3   version afterwards
-- $4   head
-- $5   kept until
-- $6   time       null for the server's
-- $7   user id    null for none
-- $8   how many sessions are live
-- $9   last activity
-- $10  latest     it must not run after this moment; null for no such moment
-- $11  wait       how long it waits for a lock, in ms
--
-- Returns one row: when it was written. None if it was not.
UPDATE tower_user_sessions h
SET version = $3, head = $4, user_id = $7, live = $8, last_activity = $9, kept_until = {moved}
WHERE h.tag = $1 AND h.version = $2 AND {now} <= coalesce($10, 'infinity') AND {settings} IS NOT NULL
RETURNING {now}
