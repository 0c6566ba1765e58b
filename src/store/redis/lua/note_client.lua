#!lua flags=allow-oom
--[[
  Notes the client of a request in a live session, if no other request did so meanwhile.

  KEYS[1]  user     hash: session id -> record

  ARGV[1]  session  session id
  ARGV[2]  before   the body of the record as the request read it
  ARGV[3]  after    the same body with the client of the request
  ARGV[4]  not_before  a session created or authenticated earlier is not live, ms
  ARGV[5]  given    the time, ms; "" for the server's
  ARGV[6]  of       8 bytes that come back: they show whose reply this is

  Returns  {1, now, of}  noted, also if it is sent again
           {0, now, of}  not live, or another request noted a client; nothing changed
]]
local user = KEYS[1]
local session, before, after, not_before, given, of = unpack(ARGV)

local record = redis.call("HGET", user, session)
local now = clock(given)
if not live(record, now, tonumber(not_before)) then
  return { 0, now, of }
end
local body = body_of(record)
if body == before then
  redis.call("HSET", user, session, string.sub(record, 1, #record - #body) .. after)
elseif body ~= after then
  return { 0, now, of }
end
return { 1, now, of }
