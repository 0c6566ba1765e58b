#!lua flags=allow-oom
--[[
  Gives a live session a new token.

  The record then has these fields between its header and its body:

  Rotation        issued at i64, grace i64, how long an end notice is kept i64, whether reuse ends
                  the session u8, salt of the current token 16 bytes. Two previous tokens follow,
                  the newer first, in the format of `tokens.lua`.

  KEYS[1]  user      hash: session id -> record

  ARGV[1]  session   session id
  ARGV[2]  sent      digest of the token that the request sent, 32 bytes
  ARGV[3]  digest    digest of the new one, 32 bytes
  ARGV[4]  terms     big-endian:
                     again     u8   1 if the user authenticated again, 0 for a derived token
                     age       u8   1 if `proven` is an age, 0 if a moment
                     ends      u8   1 if reuse ends the session
                     grace     i64  ms
                     kept      i64  how long a notice is kept, ms
                     proven    i64  when the user authenticated, or how long ago, ms
                     idle      i64  ms
                     absolute  i64  ms
                     not_before  i64  a session created or authenticated earlier is not live, ms
                     salt      16 bytes
  ARGV[5]  given     the time, ms; "" for the server's

  Returns  {1, now, of, record}  the session has the new token
           {2, now, of, salt}    another request rotated first; its new token is derived with
                                 this salt
           {3, now, of}          too early: a previous token still works, or a request has sent
                                 the successor of this one; nothing changed
           {0, now, of}          not live, or not a token of this session; nothing changed
  `of` is 8 bytes of `digest`: they show which request this reply belongs to.
]]
local user = KEYS[1]
local session, sent, digest, terms, given = unpack(ARGV)
local again, age, ends, grace, kept, proven, idle, absolute, not_before, salt =
  struct.unpack(">BBBi8i8i8i8i8i8c16", terms)
local sub, of = string.sub, string.sub(digest, 17, 24)

local record = redis.call("HGET", user, session)
local now = clock(given)
local created, authenticated, activity, lasts, till, _, kind = live(record, now, not_before)
if not created then
  return { 0, now, of }
end
local present, body = sub(record, 51, 82), body_of(record)
local newer, older = previous_tokens(record)
local open, twice = still_open(sent, newer, older, now, again == 1)
if present == digest then
  return { 1, now, of, record }
elseif kind > 127 and present == sent then
  kind, record = kind - 128, first_use(user, session, record, ttl(now, lasts, till))
elseif present ~= sent then
  if not open then
    -- The request was slower than its grace period. That is no reuse.
    local known = sub(newer, 1, 32) == sent or sub(older, 1, 32) == sent
    return again == 0 and known and { 3, now, of } or { 0, now, of }
  elseif again == 0 then
    -- The salt belongs to the newer token; from an older one it would derive another token.
    local took = kind >= 64 and open == newer
    return took and { 2, now, of, sub(record, 108, 123) } or { 3, now, of }
  end
  -- The user authenticated again, so the current token stops working too.
  sent, newer = present, open
elseif kind >= 64 then
  kind, newer = kind - 64, sub(newer, 1, 32) .. struct.pack(">i8B", now + grace_of(record), 0)
end
if again == 0 and (now < good_until(newer) or now < good_until(older)) then
  redis.call("HSET", user, session, struct.pack(">BB", VERSION, kind) .. sub(record, 3, 123)
    .. newer .. sub(record, 165))
  return { 3, now, of }
end

local header, first = sub(record, 3, 50), sent .. UNUSED .. "\0"
kind = kind % 32 + 32 + (again == 0 and 64 or 0)
if again == 1 then
  -- The clock may be behind: what is live must not have begun before everybody's end.
  proven = math.max(authenticated, math.min(age == 1 and now - proven or proven, now))
  local times, lives, deadline = lives_again(record, proven, math.max(activity, now), idle, absolute)
  header = sub(record, 3, 18) .. times
  first, newer, ends = before_proven(sent, newer, now + grace, twice, ends)
  keep(user, ttl(now, lives, deadline))
end
record = struct.pack(">BB", VERSION, kind) .. header .. digest
  .. struct.pack(">i8i8i8B", now, grace, kept, ends) .. salt .. first .. newer .. body
redis.call("HSET", user, session, record)
return { 1, now, of, record }
