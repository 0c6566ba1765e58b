#!lua flags=allow-oom
--[[
  Verifies a token, records the activity and reads the session.

  KEYS[1]  user        hash: session id -> record, session id .. ".data" -> data

  ARGV[1]  session     session id
  ARGV[2]  digest      digest of the token, 32 bytes
  ARGV[3]  counts      "1" if the request counts as activity
  ARGV[4]  not_before  sessions created earlier are void, ms
  ARGV[5]  given       the time, ms; "" for the server's

  Returns  {1, now, record, data or false}  the session is live
           {2, now, notice}                 it ended, and this is the former token
           {0, now}                         anything else
]]
local user = KEYS[1]
local session, digest, counts, not_before, given = unpack(ARGV)

local got = redis.call("HMGET", user, session, session .. ".data")
local record, data = got[1], got[2]
local now = clock(given)
local created, _, activity, idle, deadline = live(record, now, tonumber(not_before))
if not created then
  if noticed(record, now) and string.sub(record, 11, 42) == digest then
    return { 2, now, record }
  end
  return { 0, now }
end
if string.sub(record, 51, 82) ~= digest then
  return { 0, now }
end

if counts == "1" and now > activity then
  record = string.sub(record, 1, 26) .. struct.pack(">i8", now) .. string.sub(record, 35)
  redis.call("HSET", user, session, record)
  -- The first activity in each sixteenth of the idle time renews the key for the rest of it.
  local step = math.ceil(idle / 16)
  if math.floor(now / step) ~= math.floor(activity / step) then
    keep(user, ttl(now, idle, deadline))
  end
end
return { 1, now, record, data }
