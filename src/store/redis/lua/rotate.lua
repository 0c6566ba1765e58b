#!lua flags=allow-oom
--[[
  Gives a live session another token.

  What a record keeps of it, between header and body: issued at i64, grace i64, how long a notice
  is kept i64, whether reuse ends the session u8, the salt of the present token 16 bytes; then the
  two previous tokens, the newer first, each as digest 32 bytes (zeros for none), until when it is
  no reuse i64, and u8: 1 if it opens nothing even before that.

  KEYS[1]  user      hash: session id -> record

  ARGV[1]  session   session id
  ARGV[2]  previous    digest of the token that was shown, 32 bytes
  ARGV[3]  digest    digest of the new one, 32 bytes
  ARGV[4]  terms     big-endian:
                     again      u8   1 if the user proved who they are, 0 for a derived token
                     age       u8   1 if `proven` is an age, 0 if a moment
                     ends      u8   1 if reuse ends the session
                     grace     i64  ms
                     kept      i64  how long a notice is kept, ms
                     proven    i64  how long ago the user proved who they are, or when, ms
                     idle      i64  ms
                     absolute  i64  ms
                     salt      16 bytes
  ARGV[5]  given     the time, ms; "" for the server's

  Returns  {1, now, of, record}  the new token is the present one
           {2, now, of, salt}  another request was first: the successor, not seen yet, is derived
                             with this salt
           {3, now, of}      an earlier token is still in its time, or this one has a successor
                             that was seen; nothing changed
           {0, now, of}      not live, or none of its tokens; nothing changed
  `of` is 8 bytes of `digest`: they show whose reply this is.
]]
local user = KEYS[1]
local session, previous, digest, terms, given = unpack(ARGV)
local anew, age, ends, grace, kept, proven, idle, absolute, salt =
  struct.unpack(">BBBi8i8i8i8i8c16", terms)
local sub = string.sub
local of = sub(digest, 17, 24)

local record = redis.call("HGET", user, session)
local now = clock(given)
local created, _, activity = live(record, now, -math.huge)
if not created then
  return { 0, now, of }
end
local kind, present, body = string.byte(record, 2), sub(record, 51, 82), body_of(record)
local newer, older = previous_of(record)
if present == digest then
  return { 1, now, of, record }
elseif present ~= previous then
  local shown = still_open(previous, newer, older, now)
  if not shown then
    -- Of a request that took longer than the token had: the session is none the worse.
    local known = sub(newer, 1, 32) == previous or sub(older, 1, 32) == previous
    return anew == 0 and known and { 3, now, of } or { 0, now, of }
  elseif anew == 0 then
    -- The salt is the newer one's: an older one would derive nothing from it.
    local took = kind >= 64 and shown == newer
    return took and { 2, now, of, sub(record, 108, 123) } or { 3, now, of }
  end
  -- Whoever proves who they are ends the present token too.
  previous, newer = present, shown
elseif kind >= 64 then
  kind, newer = kind - 64, sub(newer, 1, 32) .. struct.pack(">i8B", now + grace_of(record), 0)
end
if anew == 0 and (now < good_until(newer) or now < good_until(older)) then
  redis.call("HSET", user, session, struct.pack(">BB", VERSION, kind) .. sub(record, 3, 123)
    .. newer .. sub(record, 165))
  return { 3, now, of }
end

local header, first = sub(record, 3, 50), previous .. UNUSED .. "\0"
kind = kind % 32 + 32 + (anew == 0 and 64 or 0)
if anew == 1 then
  proven = math.min(age == 1 and now - proven or proven, now)
  local deadline = math.max(proven, created) + absolute
  header = sub(record, 3, 18)
    .. struct.pack(">i8i8i8i8", proven, math.max(activity, now), idle, deadline)
  first, newer = rejected(previous .. UNUSED, now + grace), rejected(newer, now + grace)
  keep(user, ttl(now, idle, deadline))
end
record = struct.pack(">BB", VERSION, kind) .. header .. digest
  .. struct.pack(">i8i8i8B", now, grace, kept, ends) .. salt .. first .. newer .. body
redis.call("HSET", user, session, record)
return { 1, now, of, record }
