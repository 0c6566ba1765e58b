#!lua flags=allow-oom
--[[
  Records activity of a live session that happened a while ago, without a token.

  KEYS[1]  user        hash: session id -> record

  ARGV[1]  session     session id
  ARGV[2]  age         how long ago the activity was, ms
  ARGV[3]  not_before  a session created or authenticated earlier is not live, ms
  ARGV[4]  given       the time, ms; "" for the server's
  ARGV[5]  of          8 bytes that come back: they show whose reply this is

  Returns  {1, now, of}  the last activity is now - age, or later
           {0, now, of}  not live; nothing changed
]]
local user = KEYS[1]
local session, age, not_before, given, of = unpack(ARGV)

local record = redis.call("HGET", user, session)
local now = clock(given)
local created, _, activity, idle, deadline, _, kind = live(record, now, tonumber(not_before))
if not created then
  return { 0, now, of }
end
local at = now - age
if at > activity then
  redis.call("HSET", user, session,
    string.sub(record, 1, 26) .. struct.pack(">i8", at) .. string.sub(record, 35))
  keep(user, ttl(at, lasting(kind, idle), deadline) - age)
end
return { 1, now, of }
