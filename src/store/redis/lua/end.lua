#!lua flags=allow-oom
--[[
  Ends sessions of a user: end notices take their places, their data goes.

  KEYS[1]  user       hash: session id -> record, session id .. ".data" -> data,
                      "cut" -> ms

  ARGV[1]  which      "one", "others" or "all"; the latter two set the cut
  ARGV[2]  session    the one that ends, or that stays; "" for all
  ARGV[3]  reason     code for the notice
  ARGV[4]  by         12 bytes of the session that causes it; "" for none
  ARGV[5]  caller     a session that must be live for this to happen; "" for none
  ARGV[6]  read_at    the revision at which its data was read; "" if it was not
  ARGV[7]  kept       how long a notice is kept, ms
  ARGV[8]  tombstone  how long an id that is not there is remembered, ms; "0" not at all
  ARGV[9]  given      the time, ms; "" for the server's

  Returns  {1, now, count, data or false}  so many were live and have ended
           {2, now}                        the caller is not live; nothing changed
           {0, now}                        there is no such session; nothing changed
]]
local user = KEYS[1]
local which, session, reason, by, caller, read_at, kept, tombstone, given = unpack(ARGV)
kept, tombstone, reason = tonumber(kept), tonumber(tombstone), tonumber(reason)

local now = clock(given)
if caller ~= "" and not live(redis.call("HGET", user, caller), now, -math.huge) then
  return { 2, now }
end
if which == "one" then
  local record = redis.call("HGET", user, session)
  local created, _, _, _, _, revision = live(record, now, -math.huge)
  if created then
    local moved = read_at ~= "" and tonumber(read_at) ~= revision
    local data = moved and data_of(user, session)
    finish(user, { id = session, record = record }, reason, now, kept, by)
    keep(user, kept)
    return { 1, now, 1, data }
  end
  if noticed(record, now) then
    return { 1, now, 0, false }
  end
  -- A `create` that is still on its way finds this, and does not run.
  if tombstone > 0 and redis.call("HLEN", user) < 4000 then
    local nobody = string.rep("\0", 82)
    redis.call("HSET", user, session, notice(nobody, reason, now, tombstone, ""))
    keep(user, tombstone)
  elseif record then
    drop(user, { session })
  end
  return { 0, now }
end

local ids, found = records(user, redis.call("HKEYS", user))
local count, passed = 0, {}
redis.call("HSET", user, "cut", string.format("%.0f", now))
for at, id in ipairs(ids) do
  if live(found[at], now, -math.huge) then
    if id ~= session then
      finish(user, { id = id, record = found[at] }, reason, now, kept, by)
      count = count + 1
    end
  elseif not noticed(found[at], now) then
    passed[#passed + 1] = id
  end
end
drop(user, passed)
keep(user, math.max(DAY, kept))
return { 1, now, count, false }
