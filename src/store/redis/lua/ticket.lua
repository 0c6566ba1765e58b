#!lua flags=allow-oom
--[[
  Reads the terms of a ticket. Anyone can make up a ticket, so a wrong one costs one HGET.

  KEYS[1]  user    hash: session id -> record

  ARGV[1]  ticket  id of the ticket
  ARGV[2]  digest  digest of the ticket, 32 bytes
  ARGV[3]  given   the time, ms; "" for the server's

  Returns  {1, now, of, terms}  the ticket works
           {0, now, of}         anything else
  `of` is 8 bytes of `digest`: they show which request this reply belongs to.
]]
local user = KEYS[1]
local ticket, digest, given = unpack(ARGV)
local of = string.sub(digest, 25, 32)

local record = redis.call("HGET", user, ticket) or ""
local now = clock(given)
local version, kind = string.byte(record, 1, 2)
if version == VERSION and kind == TICKET and string.sub(record, 51, 82) == digest
  and now < struct.unpack(">i8", record, 43) then
  return { 1, now, of, string.sub(record, 83) }
end
return { 0, now, of }
