#!lua
--[[
  Merges changes into the data of a live session, shortens its lifetime, or both.

  KEYS[1]  user     hash: session id -> record, session id .. ".data" -> data

  ARGV[1]  session  session id
  ARGV[2]  op       8 bytes that name this operation. Sent twice, it happens once, unless another save ran in between:
                    then one without `expect` happens again, as the later of the two
  ARGV[3]  expect   the revision that it depends on; "" for none
  ARGV[4]  changes  see `merge`
  ARGV[5]  limit    the most bytes that the data may grow to
  ARGV[6]  shorten  the new lifetime, if that is shorter: idle i64, absolute i64, big-endian, ms;
                    "" for none. Without changes the data is not written.
  ARGV[7]  not_before  a session created or authenticated earlier is not live, ms
  ARGV[8]  given    the time, ms; "" for the server's
  ARGV[9]  latest   the moment after which no client waits for this, ms

  Returns  {1, now, op, revision, idle, deadline}  saved, as this revision; both in ms
           {2, now, op, revision, data}            the revision is another one; nothing changed
           {3, now, op}                            the data would outgrow its limit; nothing changed
           {6, now, op}                            the stored data is damaged; nothing changed
           {5, now, op}                            too late: a newer one may have run; nothing changed
           {0, now, op}                            not live; nothing changed
]]
local user = KEYS[1]
local session, op, expect, changes, limit, shorten, not_before, given, latest = unpack(ARGV)
local sub = string.sub

local got = redis.call("HMGET", user, session, session .. ".data")
local record, data = got[1], got[2] or string.rep("\0", 8)
local now = clock(given)
if now > tonumber(latest) then
  return { 5, now, op }
end
local created, authenticated, _, idle, deadline, revision = live(record, now, tonumber(not_before))
if not created then
  return { 0, now, op }
end
if sub(data, 1, 8) == op then
  return { 1, now, op, revision, idle, deadline }
end
local entries = sub(data, 9)
if expect ~= "" and tonumber(expect) ~= revision then
  return { 2, now, op, revision, entries }
end
local whole, merged = pcall(merge, entries, changes)
if not whole then
  return { 6, now, op }
end
if #merged > tonumber(limit) and #merged > #entries then
  return { 3, now, op }
end

local kind = string.byte(record, 2)
local lifetime, rest, fields = sub(record, 35, 50), sub(record, 51), {}
if shorten ~= "" then
  local new_idle, absolute = struct.unpack(">i8i8", shorten)
  if absolute < deadline - math.max(created, authenticated) then
    rest = shorter(record, absolute)
  end
  idle, deadline = math.min(idle, new_idle), math.min(deadline, now + absolute)
  lifetime = struct.pack(">i8i8", idle, deadline)
end
if shorten == "" or changes ~= "" then
  revision, fields = revision + 1, { session .. ".data", op .. merged }
  kind = kind % 32 < 16 and kind + 16 or kind
end
record = struct.pack(">BB", VERSION, kind) .. sub(record, 3, 6) .. struct.pack(">I4", revision)
  .. sub(record, 11, 34) .. lifetime .. rest
redis.call("HSET", user, session, record, unpack(fields))
return { 1, now, op, revision, idle, deadline }
