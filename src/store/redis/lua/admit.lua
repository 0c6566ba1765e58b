--[[
  The rest of `create.lua`, put after it and the preludes: holds the new session against what the
  hash has already. Arguments and returns stand there.
]]
local ids, found, has_cut = records(user, fields)
local cut = has_cut and cut_of(user, now)
for at, id in ipairs(ids) do
  if id == session then
    local same = string.sub(found[at], 51, 82) == digest and live(found[at], now, -math.huge)
    return same and { 1, now, cut or false, found[at], data_of(user, session) } or { 4, now }
  end
end
proven = age == 1 and now - proven or proven
if kind == 1 and cut and (cut > now or proven <= cut) then
  redis.call("HSET", user, "cut", string.format("%.0f", math.min(cut, now)))
  return { 3, now }
end
-- Not before: a sign-in that follows its own cut within the millisecond is ahead of now.
proven = math.min(proven, now)

local sessions, notices, passed, old = sort_out(ids, found, now, not_before, replaces)
local excess = kind == 1 and #sessions + 1 - limit or 0
if excess > 0 and refuse == 1 then
  return add({ 2, now }, sessions)
end
local data = old and data_of(user, replaces) or ""
data = merge(data, changes or "")
if #data > most then
  return { 6, now }
end

local header = struct.pack(">BBi8i8i8i8i8i8", VERSION, kind + (#data > 0 and 16 or 0), 0, now,
  proven, now, idle, deadline)
local record = header .. digest .. body
-- The new session first: an emptied hash would lose its TTL.
redis.call("HSET", user, session, record)
if #data > 0 then
  redis.call("HSET", user, session .. ".data", string.rep("\0", 8) .. data)
end
if old then
  notices[#notices + 1] = finish(user, old, REPLACED, now, kept, by)
end
table.sort(sessions, less_active)
local evicted = {}
for position = 1, excess do
  evicted[position] = sessions[position]
  notices[#notices + 1] = finish(user, evicted[position], EVICTED, now, kept, by)
end
if #passed > 0 or #notices > limit then
  drop(user, oldest(notices, limit, passed))
end
keep(user, math.max(ttl(now, idle, deadline), #notices > 0 and kept or 0))
if not cut and #data == 0 and #evicted == 0 then
  return header
end
return add({ 1, now, cut or false, record, data }, evicted)
