--[[
  Continues `resolve.lua`, after the preludes: notices, deadlines, previous tokens, and the first
  request with a new token. `resolve.lua` lists the arguments and the returns.
]]
local TOKEN_REUSE, of = 10, sub(digest, 1, 8)

if noticed(record, now) then
  local opens = sub(record, 11, 42) == digest
    or string.byte(record, 2) == 35 and sub(record, 68, 99) == digest
  return opens and { 2, now, of, record } or { 0, now, of }
end
local rotated = kind % 64 > 31
if version ~= VERSION or kind % 16 > 2 or kind > 127 or kind > 63 and not rotated
  or rotated and #record < 205 or ARGV[4] and created < tonumber(ARGV[4]) then
  return { 0, now, of }
end
local previous, before = nil, record
if sub(record, 51, 82) ~= digest then
  local newer, older = previous_tokens(record)
  previous = sub(newer, 1, 32) == digest and newer or sub(older, 1, 32) == digest and older
  if not previous then
    return { 0, now, of }
  end
end
if now >= deadline or now >= activity + idle then
  return previous and { 0, now, of } or expired(user, session, record, now, of)
end
if previous then
  local good, rejected = good_until(previous)
  if now >= good then
    local kept, ends = struct.unpack(">i8B", record, 99)
    if ends == 1 then
      local cause = { reason = TOKEN_REUSE, kept = kept, by = "", body = "", previous = digest }
      finish(user, { id = session, record = record }, cause, now)
      keep(user, kept)
    end
    return { 4, now, of, record, ends }
  elseif rejected == 1 then
    return { 5, now, of, record }
  end
elseif kind >= 64 then
  record = used(record, kind, now)
  counts = ARGV[3] ~= "0" and now > activity
end
if counts then
  record = sub(record, 1, 26) .. struct.pack(">i8", now) .. sub(record, 35)
  keep(user, ttl(now, idle, deadline))
end
if record ~= before then
  redis.call("HSET", user, session, record)
end
return { 1, now, of, record, kind % 32 >= 16 and redis.call("HGET", user, session .. ".data") }
