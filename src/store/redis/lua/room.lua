--[[
  Functions for `admit.lua`: which sessions end for a new one. Comes before it.
]]
local EVICTED, REVOKED, REPLACED = 2, 3, 4
local UNCOUNTED, TICKETS, MARKERS, DEVICES = 255, 4, 8, 32
local MINUTE = 60000

-- The outcome of a sign-in of a user that is not made: disabled, too old, or rejected by the cutoff.
local function unwanted(key, others, cutoff, age, proven, now)
  if others.barred and now < tonumber(redis.call("HGET", key, "barred")) then
    return 8
  elseif now - proven >= DAY then
    return 9
  end
  -- Any cutoff but the request's own is later, even if the clock stepped back meanwhile.
  local rejected = age ~= 2 and cutoff and (cutoff > now or proven <= cutoff)
    or age == 2 and cutoff ~= proven - 1
  if cutoff and rejected then
    if cutoff > now + AHEAD then
      redis.call("HSET", key, "cut", string.format("%.0f", now))
    end
    return 3
  end
end

-- The live session that a sign-in replaces: the one whose token the request sent, or the one
-- that replaced it meanwhile.
local function successor(by_id, id, now, not_before)
  for _ = 1, 16 do
    local record = by_id[id]
    if live(record, now, not_before) then
      return id
    elseif not noticed(record, now) or string.byte(record, 43) ~= REPLACED then
      return nil
    end
    id = string.sub(record, 52, 67)
  end
end

-- Sorts the records: live sessions, notices, markers of sessions in other session sets, tickets,
-- and the ids of expired ones. The replaced and the chosen session are not among the live ones;
-- they stand under their ids.
local function sort_out(ids, found, now, not_before, replaced, chosen)
  local all = { sessions = {}, notices = {}, markers = {}, tickets = {}, passed = {} }
  for at, id in ipairs(ids) do
    local record, into, age = found[at], nil, nil
    local created, _, activity = live(record, now, not_before)
    if created and (id == replaced or id == chosen) then
      all[id] = { id = id, record = record }
    elseif created then
      local class = string.byte(record, 3)
      all.sessions[#all.sessions + 1] =
        { id = id, record = record, created = created, activity = activity, class = class }
    elseif is_ticket(record, now) then
      into, age = all.tickets, struct.unpack(">i8", record, 11)
    elseif noticed(record, now) then
      age = struct.unpack(">i8", record, 44)
      if string.sub(record, 11, 42) ~= string.rep("\0", 32) then
        into = all.notices
      elseif string.byte(record, 43) == REPLACED then
        into = all.markers
      end
      -- Undelivered ids stay for their minute, because their `create` may still run.
    elseif string.byte(record, 1) == VERSION then
      all.passed[#all.passed + 1] = id
    end
    if into then
      into[#into + 1] = { id = id, ended = age, realm = string.sub(record, 4, 6) }
    end
  end
  return all
end

-- The order of eviction.
local function less_active(a, b)
  if a.activity ~= b.activity then
    return a.activity < b.activity
  elseif a.created ~= b.created then
    return a.created < b.created
  end
  return a.id < b.id
end

-- The sessions that must end for one of this class, first of the class, then of all; and the
-- sessions whose end would make room.
local function excess(sessions, realm, class, limit, class_limit)
  local rivals, own, goes, gone = {}, {}, {}, {}
  table.sort(sessions, less_active)
  for _, each in ipairs(sessions) do
    if is_within(each.record, realm) and (each.class == UNCOUNTED) == (class == UNCOUNTED) then
      rivals[#rivals + 1] = each
      own[#own + 1] = each.class == class and each or nil
    end
  end
  local over = class_limit > 0 and #own + 1 - class_limit or 0
  for position = 1, over do
    goes[position] = own[position]
    gone[own[position].id] = true
  end
  local left = #rivals - #goes + 1 - limit
  for _, each in ipairs(rivals) do
    if left > 0 and not gone[each.id] then
      goes[#goes + 1] = each
      left = left - 1
    end
  end
  return goes, over > 0 and own or rivals
end

-- Adds to `passed` all of these but the newest, of which `most` stay.
local function oldest(those, most, passed)
  table.sort(those, function(a, b)
    if a.ended ~= b.ended then
      return a.ended < b.ended
    end
    return a.id < b.id
  end)
  for position = 1, #those - most do
    passed[#passed + 1] = those[position].id
  end
end

-- Keeps the ticket of a refused sign-in, and the newest of its realm. `offer` is its id, its
-- digest and its terms.
local function leave(key, offer, realm, tickets, proven, now)
  local id, kept, passed = string.sub(offer, 1, 16), 5 * MINUTE, {}
  redis.call("HSET", key, id, struct.pack(">BBBc3I4i8i8i8i8i8", VERSION, TICKET, 0, realm, 0, now,
    proven, now, kept, now + kept) .. string.sub(offer, 17))
  keep(key, kept)
  local own = { { id = id, ended = now } }
  for _, each in ipairs(tickets) do
    own[#own + 1] = each.realm == realm and each or nil
  end
  oldest(own, TICKETS, passed)
  if #passed > 0 then
    drop(key, passed)
  end
end

-- Remembers a device and returns whether it is new. `device` is its digest (12 bytes) and how
-- long the devices are kept (i64).
local function first_sight(key, device, now)
  local known, digests, new = redis.call("HGET", key, "devices") or "", {}, 1
  if #known > 8 and now < struct.unpack(">i8", known) then
    for at = 9, #known, 12 do
      digests[#digests + 1] = string.sub(known, at, at + 11)
      if digests[#digests] == string.sub(device, 1, 12) then
        digests[#digests], new = nil, 0
      end
    end
  end
  digests[#digests + 1] = string.sub(device, 1, 12)
  local kept = struct.unpack(">i8", device, 13)
  redis.call("HSET", key, "devices", struct.pack(">i8", now + kept)
    .. table.concat(digests, "", math.max(1, #digests - DEVICES + 1)))
  keep(key, kept)
  return new
end
