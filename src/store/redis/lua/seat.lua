--[[
  Continues `rank.lua`: makes the session, and the notices of those that it replaces or evicts.
]]
local header = struct.pack(">BBBI3I4i8i8i8i8i8", VERSION, kind + 128 + (#data > 0 and 16 or 0),
  class, realm, 0, begins + era, authenticated + era, now, idle, deadline)
local record, chosen, ended = header .. digest .. body, new.chosen, {}
if chosen ~= "" and chosen ~= replaced then
  local one = redis.call("HGET", user, chosen)
  local created, _, _, _, _, _, _, _, place = live(one, now, not_before)
  ended = created and place == realm and { chosen, one } or ended
end
for _, at in ipairs(goes) do
  local n = #ended
  ended[n + 1], ended[n + 2] = ids[at], found[at]
end
local is_new = device ~= "" and note_device(user, device, now) or 0
local wrote, gone = { session, record }, stale(made, all.fresh)
if #data > 0 then
  wrote[3], wrote[4] = session .. ".data", string.rep("\0", 8) .. data
end
if #ended > 0 or old or is_new == 1 then
  wrote[#wrote + 1], wrote[#wrote + 2] = session .. ".made", outcome(is_new, replaced or "", ended)
end
local names, times = moments(ids, found, all.noted, 44)
for _, at in ipairs(all.over or {}) do
  -- What began before `not_before`, when everybody's sessions ended, leaves notices.
  local everyone = { reason = EVERYONE, kept = kept, by = "", body = "", at = not_before - era }
  names[#names + 1], times[#times + 1] = ids[at], not_before - era
  finish(user, ids[at], found[at], everyone, now, wrote, gone)
end
local cause = { kept = kept, by = session, body = body, reason = REPLACED }
if old then
  -- Of notices of the same moment this one is dropped last: a second click looks for it.
  names[#names + 1], times[#times + 1] = replaced, now + 0.5
  finish(user, replaced, old, cause, now, wrote, gone)
end
for at = 1, #ended, 2 do
  cause.reason = ended[at] == chosen and REVOKED or EVICTED
  names[#names + 1], times[#times + 1] = ended[at], now
  finish(user, ended[at], ended[at + 1], cause, now, wrote, gone)
end
