#!lua flags=allow-oom
--[[
  Gives a live session another token.

  What a record keeps of it, between header and body: issued at i64, grace i64, how long a notice
  is kept i64, whether reuse ends the session u8, the salt of the present token 16 bytes; then the
  two former tokens, the newer first, each as digest 32 bytes (zeros for none), until when it is
  no reuse i64, and u8: 1 if it opens nothing even before that.

  KEYS[1]  user      hash: session id -> record

  ARGV[1]  session   session id
  ARGV[2]  former    digest of the token that was shown, 32 bytes
  ARGV[3]  digest    digest of the new one, 32 bytes
  ARGV[4]  terms     big-endian:
                     anew      u8   1 if the user proved who they are, 0 for a derived token
                     age       u8   1 if `proven` is an age, 0 if a moment
                     ends      u8   1 if reuse ends the session
                     grace     i64  ms
                     kept      i64  how long a notice is kept, ms
                     proven    i64  how long ago the user proved who they are, or when, ms
                     idle      i64  ms
                     absolute  i64  ms
                     salt      16 bytes
  ARGV[5]  given     the time, ms; "" for the server's

  Returns  {1, now, record}  the new token is the present one
           {2, now, salt}    another request was first: the successor, not seen yet, is derived
                             with this salt
           {3, now}          an earlier token is still in its time, or this one's successor was
                             seen; nothing changed
           {0, now}          not live, or none of its tokens; nothing changed
]]
local user = KEYS[1]
local session, former, digest, terms, given = unpack(ARGV)
local anew, age, ends, grace, kept, proven, idle, absolute, salt =
  struct.unpack(">BBBi8i8i8i8i8c16", terms)
local UNSEEN, NONE, sub = "\127" .. string.rep("\255", 7), string.rep("\0", 41), string.sub

local record = redis.call("HGET", user, session)
local now = clock(given)
local created, _, activity, _, _, _ = live(record, now, -math.huge)
if not created then
  return { 0, now }
end
local kind, present = string.byte(record, 2), sub(record, 51, 82)
if present == digest then
  return { 1, now, record }
end
local rotated = kind % 64 >= 32
local newer, older = NONE, NONE
if rotated then
  newer, older = sub(record, 124, 164), sub(record, 165, 205)
end
if present ~= former then
  local shown = nil
  for _, each in ipairs({ newer, older }) do
    local good, void = struct.unpack(">i8B", each, 33)
    if sub(each, 1, 32) == former and now < good and void == 0 then
      shown = each
    end
  end
  if not shown then
    return { 0, now }
  elseif anew == 0 then
    return kind >= 64 and { 2, now, sub(record, 108, 123) } or { 3, now }
  end
  -- Whoever proves who they are ends the present token too.
  former, newer, kind = present, shown, kind % 64
end
if kind >= 64 then
  newer = sub(newer, 1, 32) .. struct.pack(">i8B", now + struct.unpack(">i8", record, 91), 0)
  kind = kind - 64
end
local good = struct.unpack(">i8", newer, 33)
if anew == 0 and (now < good or now < struct.unpack(">i8", older, 33)) then
  redis.call("HSET", user, session, struct.pack(">BB", VERSION, kind) .. sub(record, 3, 123)
    .. newer .. sub(record, 165))
  return { 3, now }
end

local header, until_seen = sub(record, 3, 50), former .. UNSEEN .. "\0"
kind = kind % 32 + 32 + (anew == 0 and 64 or 0)
if anew == 1 then
  proven = math.min(age == 1 and now - proven or proven, now)
  header = sub(record, 3, 18) .. struct.pack(">i8i8i8i8", proven, math.max(activity, now), idle,
    now + absolute)
  until_seen = former .. struct.pack(">i8B", now + grace, 1)
  if newer ~= NONE then
    newer = sub(newer, 1, 32) .. struct.pack(">i8B", math.min(good, now + grace), 1)
  end
  keep(user, ttl(now, idle, now + absolute))
end
record = struct.pack(">BB", VERSION, kind) .. header .. digest
  .. struct.pack(">i8i8i8B", now, grace, kept, ends) .. salt .. until_seen .. newer
  .. sub(record, rotated and 206 or 83)
redis.call("HSET", user, session, record)
return { 1, now, record }
