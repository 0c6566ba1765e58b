#!lua flags=allow-oom
--[[
  Ends sessions of a user: end notices replace their records, and their data is deleted.

  KEYS[1]  user       hash: session id -> record, session id .. ".data" -> data,
                      "cut" -> ms, "set_by" -> see `several.lua`, "barred" -> ms

  ARGV[1]  which      "one", "others" or "all"; the latter two set the cutoff
  ARGV[2]  session    the session that ends, or the one that stays; "" for all
  ARGV[3]  reason     code for the notice
  ARGV[4]  by         the session that causes it; "" for none
  ARGV[5]  caller     a session that must be live or was ended by this same call, or nothing changes;
                      "" for none
  ARGV[6]  read_at    one session ends only at this revision, at which its data was read; "" for any
  ARGV[7]  kept       how long a notice is kept, ms
  ARGV[8]  tombstone  how long to remember an id that is not there, ms; "0" for not at all
  ARGV[9]  spare      "1" if sessions that do not count for the limit stay when several end
  ARGV[10] bar        how long the user is disabled, ms; "0" enables; "" changes nothing
  ARGV[11] within     the mark of a realm, 3 bytes: one session ends only if it is in there; "" for any
  ARGV[12] not_before a `caller` that was created or authenticated earlier is not live, ms
  ARGV[13] given      the time, ms; "" for the server's
  ARGV[14] of         8 bytes that come back: they show whose reply this is. They name the call,
                      so that it gives the same answer if it is sent again.
  ARGV[15] latest     the moment after which no client waits for this, ms

  Returns  {1, now, of, data or false, before or false, cutoff or false, id, …}
                                               these were live and have ended. `cutoff` was set;
                                               `before` is the one before it that another call set.
                                               With data nothing changed: it is newer than `read_at`
           {2, now, of}                    the caller is not live; nothing changed
           {5, now, of}                    too late: a newer one may have run; nothing changed
           {0, now, of}                    there is no such session; nothing changed
]]
local user = KEYS[1]
local which, session, reason, by, caller, read_at, kept, tombstone, spare, bar, within, not_before,
  given, of, latest = unpack(ARGV)
kept, tombstone = tonumber(kept), tonumber(tombstone)

-- Whether it is the notice of a session that this call ended.
local function ended_by(record, call)
  local kind = string.byte(record, 2)
  local at = kind % 64 > 32 and 100 or 68
  return kind > 64 and string.sub(record, at, at + 7) == call
end

-- Whether a record is of this realm. "" stands for all realms.
local function is_within(record, realm)
  return realm == "" or string.sub(record, 4, 6) == realm
end

local now = clock(given)
if now > tonumber(latest) then
  return { 5, now, of }
end
local calling = caller ~= "" and redis.call("HGET", user, caller)
-- This call may have ended its caller before, and its reply was lost.
local again = noticed(calling, now) and ended_by(calling, of)
if caller ~= "" and not again and not live(calling, now, tonumber(not_before)) then
  return { 2, now, of }
end
local cause = { reason = tonumber(reason), kept = kept, by = by, call = of, body = "" }
local causing = by ~= "" and redis.call("HGET", user, by)
if causing and live(causing, now, -math.huge) then
  cause.body = body_to_note(causing)
end
if which == "one" then
  local record = redis.call("HGET", user, session)
  local created, _, _, _, _, revision = live(record, now, -math.huge)
  if created and not is_within(record, within) then
    return { 0, now, of }
  elseif created and read_at ~= "" and tonumber(read_at) ~= revision then
    -- If this answer is lost, the data is still there.
    return { 1, now, of, data_of(user, session), false, false }
  elseif created then
    finish(user, session, record, cause, now)
    keep(user, kept)
    return { 1, now, of, false, false, false, session }
  end
  if noticed(record, now) then
    return { 1, now, of, false, false, false, ended_by(record, of) and session or nil }
  end
  -- A `create` that arrives later finds this mark and makes no session. Marks do not fill the hash.
  if tombstone > 0 and redis.call("HLEN", user) < 20000 then
    mark(user, session, cause.reason, "", tombstone, now)
    keep(user, tombstone)
  elseif record and is_over(record, now) then
    drop(user, { session })
  end
  return { 0, now, of }
end
