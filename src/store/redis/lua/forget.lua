#!lua flags=allow-oom
--[[
  Closes an end notice: no token opens it any more. Otherwise it stays, because it keeps the id from
  being created again.

  KEYS[1]  user     hash: session id -> record

  ARGV[1]  session  session id
  ARGV[2]  digest   the digest in the notice, 32 bytes
  ARGV[3]  given    the time, ms; "" for the server's
  ARGV[4]  of       8 bytes that come back: they show whose reply this is

  Returns  {1, now, of}  the notice is closed
           {0, now, of}  there is no such notice; nothing changed
]]
local user = KEYS[1]
local session, digest, given, of = unpack(ARGV)

local now = clock(given)
local record = redis.call("HGET", user, session)
if not noticed(record, now) or string.sub(record, 11, 42) ~= digest then
  return { 0, now, of }
end
-- The previous token and the client go too.
local closed = string.char(VERSION, NOTICE) .. string.sub(record, 3, 10)
  .. string.rep("\0", 32) .. string.sub(record, 43, 67)
redis.call("HSET", user, session, closed)
return { 1, now, of }
