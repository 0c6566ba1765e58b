--[[
  Continues `admit.lua`: makes the session, and ends those that it replaces or evicts.
]]
local header = struct.pack(">BBBc3I4i8i8i8i8i8", VERSION, kind + (#data > 0 and 16 or 0), class,
  realm, 0, now, proven, now, idle, deadline)
local record = header .. digest .. body
-- The new session is written first, because an empty hash would lose its TTL.
redis.call("HSET", user, session, record)
if #data > 0 then
  redis.call("HSET", user, session .. ".data", string.rep("\0", 8) .. data)
end
if #all.passed > 0 then
  drop(user, all.passed)
end
local notices, passed, ended = all.notices, {}, {}
local function finished(each, reason)
  local cause = { reason = reason, kept = kept, by = session, body = body }
  notices[#notices + 1] = finish(user, each, cause, now)
end
if old then
  finished(old, REPLACED)
  -- Of notices of the same moment this one is dropped last: a second click looks for it.
  notices[#notices].ended = now + 0.5
elseif replaces ~= "" and not noticed(by_id[replaces], now) then
  mark(user, replaces, REPLACED, session, MINUTE, now)
  all.markers[#all.markers + 1] = { id = replaces, ended = now }
end
if all[chosen] and chosen ~= replaced then
  finished(all[chosen], REVOKED)
  ended[1] = all[chosen]
end
for _, each in ipairs(goes) do
  finished(each, EVICTED)
  ended[#ended + 1] = each
end
if redeem ~= "" then
  passed[#passed + 1] = string.sub(redeem, 1, 16)
end
oldest(notices, limit, passed)
oldest(all.markers, MARKERS, passed)
if #passed > 0 then
  drop(user, passed)
end
local first = device ~= "" and first_sight(user, device, now) or 0
keep(user, math.max(ttl(now, idle, deadline), #notices > 0 and kept or 0,
  #all.markers > 0 and MINUTE or 0))
if not cutoff and #data == 0 and #ended == 0 and not replaced and first == 0 then
  return header .. of
end
return add({ 1, now, of, cutoff or false, record, data, replaced or "", first }, ended)
