#!lua
--[[
  Merges changes into the data of a live session.

  KEYS[1]  user     hash: session id -> record, session id .. ".data" -> data

  ARGV[1]  session  session id
  ARGV[2]  op       8 bytes that name this operation: sent twice, it happens once
  ARGV[3]  expect   the revision it depends on; "" if on none
  ARGV[4]  changes  see `merge`
  ARGV[5]  limit    the most bytes that the data may take
  ARGV[6]  given    the time, ms; "" for the server's

  Returns  {1, now, op, revision}        saved, as this revision
           {2, now, op, revision, data}  the revision is another one; nothing changed
           {3, now, op}                  over the limit; nothing changed
           {0, now, op}                  not live; nothing changed
]]
local user = KEYS[1]
local session, op, expect, changes, limit, given = unpack(ARGV)

local got = redis.call("HMGET", user, session, session .. ".data")
local record, data = got[1], got[2] or string.rep("\0", 8)
local now = clock(given)
local created, _, _, _, _, revision = live(record, now, -math.huge)
if not created then
  return { 0, now, op }
end
if string.sub(data, 1, 8) == op then
  return { 1, now, op, revision }
end
local entries = string.sub(data, 9)
if expect ~= "" and tonumber(expect) ~= revision then
  return { 2, now, op, revision, entries }
end
local merged = merge(entries, changes)
if #merged > tonumber(limit) then
  return { 3, now, op }
end

revision = revision + 1
local kind, class = string.byte(record, 2, 3)
kind = kind % 32 < 16 and kind + 16 or kind
record = struct.pack(">BBBI7", VERSION, kind, class, revision) .. string.sub(record, 11)
redis.call("HSET", user, session, record, session .. ".data", op .. merged)
return { 1, now, op, revision }
