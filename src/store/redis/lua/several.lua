--[[
  Continues `end.lua` if several sessions end, and sets the cutoff. `end.lua` lists the arguments
  and the returns.
]]
local ids = split(redis.call("HKEYS", user))
local found, passed = records(user, ids), {}
local before = cutoff_of(user, now)
-- A sign-in after another cutoff of this millisecond must not count as later than this one.
local least = before and before + 1 or now
-- "set_by" has the call that set the cutoff (8 bytes), that cutoff i64, and the one before it i64 if
-- there was one. Another node may know only "cut", so it counts for that cutoff alone.
local set_by = before and redis.call("HGET", user, "set_by") or ""
if #set_by >= 16 and string.sub(set_by, 1, 8) == of
  and struct.unpack(">i8", set_by, 9) == before then
  -- This call set that one itself, and its reply was lost.
  least, before = before, #set_by >= 24 and struct.unpack(">i8", set_by, 17)
  before = before and now < before + DAY and before
end
local cutoff = math.max(now, least)
redis.call("HSET", user, "cut", string.format("%.0f", cutoff), "set_by",
  of .. struct.pack(">i8", cutoff) .. (before and struct.pack(">i8", before) or ""))
if tonumber(bar) == 0 then
  redis.call("HDEL", user, "barred")
elseif bar ~= "" then
  redis.call("HSET", user, "barred", string.format("%.0f", now + bar))
end
local answer = { 1, now, of, false, before or false, cutoff }
for at, id in ipairs(ids) do
  if live(found[at], now, -math.huge) then
    if id ~= session and (spare == "" or string.byte(found[at], 3) ~= 255) then
      finish(user, id, found[at], cause, now)
      answer[#answer + 1] = id
    end
  elseif noticed(found[at], now) and ended_by(found[at], of) then
    answer[#answer + 1] = id
  elseif is_over(found[at], now) or id ~= session and string.byte(found[at], 1) ~= VERSION then
    -- A record of another version may be live, so it is deleted too.
    passed[#passed + 1] = id
  end
end
drop(user, passed)
keep(user, math.max(cutoff - now + DAY, kept, tonumber(bar) or 0))
return answer
