--[[
  Continues `admit.lua`: makes the session, and ends those that it replaces or evicts.
]]
local header = struct.pack(">BBBc3I4i8i8i8i8i8", VERSION, kind + 128 + (#data > 0 and 16 or 0),
  class, realm, 0, begins, authenticated, now, idle, deadline)
local record = header .. digest .. body
local chosen = redeem ~= "" and new.chosen ~= replaced
  and redis.call("HGET", user, new.chosen)
local ended = live(chosen, now, not_before) and is_within(chosen, realm)
  and { { id = new.chosen, record = chosen } } or {}
for _, at in ipairs(goes) do
  ended[#ended + 1] = { id = ids[at], record = found[at] }
end
local first = device ~= "" and first_sight(user, device, now) or 0
local wrote = { session, record }
if #data > 0 then
  wrote[3], wrote[4] = session .. ".data", string.rep("\0", 8) .. data
end
if #ended > 0 or old or first == 1 then
  wrote[#wrote + 1], wrote[#wrote + 2] = session .. ".made", outcome(first, replaced or "", ended)
end
-- The new session is written before others end, because an empty hash would lose its TTL.
redis.call("HSET", user, unpack(wrote))
drop(user, all.passed)
remember(all, ids, found)
local notices, cause = all.notices, { kept = kept, by = session, body = body }
local function finished(each, reason)
  cause.reason = reason
  notices[#notices + 1] = finish(user, each, cause, now)
end
end_with_all(user, all, ids, found, kept, not_before, now)
if old then
  finished({ id = replaced, record = old }, REPLACED)
  -- Of notices of the same moment this one is dropped last: a second click looks for it.
  notices[#notices].ended = now + 0.5
elseif replaces ~= "" and not noticed(redis.call("HGET", user, replaces), now) then
  mark(user, replaces, REPLACED, session, MINUTE, now)
  all.markers[#all.markers + 1] = { id = replaces, ended = now }
end
for _, each in ipairs(ended) do
  finished(each, each.id == new.chosen and REVOKED or EVICTED)
end
local gone = stale(made, all.fresh)
gone[#gone + 1] = redeem ~= "" and string.sub(redeem, 1, 16) or nil
-- A sign-in that does not count has no limit of the user's to go by. Those of the sessions that
-- ended for this one stay in any case.
local most = math.max(class == UNCOUNTED and NOTICES or limit, #ended + (old and 1 or 0))
oldest(notices, math.min(most, NOTICES), gone)
oldest(all.markers, MARKERS, gone)
drop(user, {}, gone)
keep(user, math.max(ttl(now, lasting(kind + 128, idle), deadline), #notices > 0 and kept or 0,
  #all.markers > 0 and MINUTE or 0))
if not cutoff and #data == 0 and #ended == 0 and not old and first == 0 then
  return header .. of
end
return pairs_of(ended, { 1, now, of, cutoff or false, record, data, replaced or "", first })
