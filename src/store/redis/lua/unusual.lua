--[[
  Continues `resolve.lua`, after the preludes: notices, deadlines, previous tokens, and the first
  request with a token. `resolve.lua` lists the arguments and the returns.
]]
local TOKEN_REUSE, of = 10, sub(digest, 1, 8)

if noticed(record, now) then
  return to_ended(record, digest, now, of)
end
local rotated, unused = kind % 64 > 31, kind > 127
if version ~= VERSION or kind % 16 > 2 or kind > 191 or kind % 128 > 63 and not rotated
  or rotated and (unused or #record < 205) then
  return { record ~= "" and string.byte(record) ~= VERSION and 7 or 0, now, of }
end
local present = sub(record, 51, 82) == digest
local previous, before = not present and previous_token(record, digest), record
if not present and not previous then
  return { 0, now, of }
end
if ARGV[4] and math.min(created, authenticated) < tonumber(ARGV[4]) then
  return to_ended_with_all(record, previous, now, of)
end
if now >= deadline or now >= activity + lasting(kind, idle) then
  return previous and { 0, now, of } or expired(user, session, record, now, of)
end
if previous then
  local good, rejected = good_until(previous)
  if now >= good then
    local kept, ends = struct.unpack(">i8B", record, 99)
    if rejected == 1 then
      -- The user authenticated again since, so a copy of this token ends nothing. It is reported once.
      redis.call("HSET", user, session, forget(record, previous))
    elseif ends == 1 then
      local cause = { reason = TOKEN_REUSE, kept = kept, by = "", body = "", previous = digest }
      finish(user, session, record, cause, now)
      keep(user, kept)
    end
    return { 4, now, of, record, rejected == 1 and 0 or ends }
  elseif rejected == 1 then
    return { 5, now, of, record }
  end
  record = taken_over(record)
elseif unused or kind >= 64 then
  record = unused and first_use(user, session, record, ttl(now, idle, deadline))
    or used(record, kind, now)
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
