--[[
  Functions for `admit.lua`: which sessions end for a new one. Comes before it.
]]
local EVICTED, REVOKED, REPLACED, UNDELIVERED, EVERYONE = 2, 3, 4, 6, 14
local UNCOUNTED, TICKETS, MARKERS, DEVICES = 255, 4, 8, 32
-- An unused session goes first from then on, ms.
local UNUSED_FOR = 20000

-- The outcome of a sign-in of a user that is not made: disabled, too old, or rejected by the cutoff.
local function unwanted(key, has, cutoff, age, proven, now)
  if has.barred and now < tonumber(redis.call("HGET", key, "barred")) then
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

-- The live session that a sign-in replaces, and its record: the one whose token the request sent,
-- or the one that replaced it meanwhile.
local function successor(key, id, now, not_before)
  for _ = 1, id ~= "" and 16 or 0 do
    local record = redis.call("HGET", key, id)
    if live(record, now, not_before) then
      return id, record
    elseif not noticed(record, now) or string.byte(record, 43) ~= REPLACED then
      return nil
    end
    id = string.sub(record, 52, 67)
  end
end

-- Moves the first `count` of these to the front, in their order. Mostly that is one of many.
local function to_front(those, count, before)
  if count > 8 then
    return table.sort(those, before)
  end
  for at = 1, count do
    local least = at
    for other = at + 1, #those do
      if before(those[other], those[least]) then
        least = other
      end
    end
    those[at], those[least] = those[least], those[at]
  end
end

-- Sorts the records. Rivals are the live sessions of its realm that count as the new one does. It
-- returns their positions, or adds them to `offers`, the reply to a sign-in that would be refused.
-- `least` is the least active one, if nothing else decides who goes first. `turn` has unused ones: 1 if
-- that is for long, else 2 if they are of the new one's client. Of notices, markers, tickets, and of
-- what ended with everybody's sessions: the positions. Of what expired: the ids. `fresh` has the
-- sessions of which `outcome` is still needed.
local function sort_out(ids, found, now, new, offers)
  local read, uncounted, not_before, realm = struct.unpack, new.class == UNCOUNTED, new.not_before, new.realm
  local replaced, chosen, count, n, unused = new.replaced, new.chosen, 0, offers and #offers, 0
  local rivals, noted, passed, turn, fresh = {}, {}, {}, {}, {}
  local tickets, markers, over, lowest, least, equal = nil, nil, nil, offers and -math.huge or math.huge, nil, false
  for at = 1, #ids do
    local id, record = ids[at], found[at]
    local version, kind, class, place, revision, created, authenticated, activity, idle, deadline =
      read(">BBBI3I4i8i8i8i8i8", #record < 51 and string.rep("\0", 50) or record)
    if version == VERSION and kind % 16 < 3 and now < deadline
      and now < activity + (kind > 127 and lasting(kind, idle) or idle)
      and created >= not_before and authenticated >= not_before and #record > 81 then
      local rival = place == realm and (class == UNCOUNTED) == uncounted and id ~= replaced
        and id ~= chosen
      if rival then
        count = count + 1
        if offers then
          offers[n + 1], offers[n + 2], n = id, record, n + 2
        else
          rivals[count] = at
        end
        if activity <= lowest then
          equal = activity == lowest
          lowest, least = activity, at
        end
      end
      if kind > 127 then
        if now - created % ERA < MINUTE then
          fresh[id .. ".made"] = true
        end
        if rival and now - created % ERA > UNUSED_FOR then
          turn[at], unused = 1, unused + 1
        elseif rival and string.sub(record, 84, 82 + new.own) == string.sub(new.body, 2, new.own) then
          turn[at] = 2
        end
      end
    -- In a notice, these are the bytes of the moment until which it is kept, and then of its digest.
    elseif version == VERSION and kind % 32 == NOTICE and now < (class * 2 ^ 24 + place) * 2 ^ 32 + revision
      and (created ~= 0 or authenticated ~= 0 or activity ~= 0 or idle ~= 0) then
      noted[#noted + 1] = at
    elseif not_before > -2 ^ 62 and live(record, now, -math.huge) then
      over = over or {}
      over[#over + 1] = at
    elseif is_ticket(record, now) then
      tickets = tickets or {}
      tickets[#tickets + 1] = at
    elseif noticed(record, now) then
      -- Undelivered ids stay for their minute, because their `create` may still run.
      local reason = string.byte(record, 43)
      if reason == REPLACED then
        markers = markers or {}
        markers[#markers + 1] = at
      elseif reason ~= UNDELIVERED then
        -- A notice that its user closed.
        noted[#noted + 1] = at
      end
    elseif string.byte(record, 1) == VERSION then
      passed[#passed + 1] = id
    end
  end
  return { rivals = rivals, count = count, unused = unused, turn = turn, fresh = fresh, noted = noted,
    passed = passed, over = over, tickets = tickets, markers = markers,
    least = not equal and next(turn) == nil and least or nil }
end

-- The positions of the sessions that must end for the new one, first of its class, then of all;
-- whether one of them was not unused for long; and those whose end would make room.
local function excess(ids, found, all, new, limit, class_limit)
  local own, goes, gone, others, refused, offered = {}, {}, {}, {}, false, {}
  local rivals, turn, active = all.rivals, all.turn, {}
  -- The order of eviction.
  local function goes_before(a, b)
    if turn[a] ~= turn[b] then
      return (turn[a] or 3) < (turn[b] or 3)
    elseif active[a] ~= active[b] then
      return active[a] < active[b]
    end
    -- Read only here, because activities are rarely equal.
    local began, other = struct.unpack(">i8", found[a], 11) % ERA, struct.unpack(">i8", found[b], 11) % ERA
    if began ~= other then
      return began < other
    end
    return ids[a] < ids[b]
  end
  local function take(those, count)
    to_front(those, count, goes_before)
    for position = 1, count do
      local at = those[position]
      goes[#goes + 1], gone[at], refused = at, true, refused or turn[at] ~= 1
    end
  end
  for _, at in ipairs(rivals) do
    active[at] = struct.unpack(">i8", found[at], 27)
    own[#own + 1] = class_limit > 0 and string.byte(found[at], 3) == new.class and at or nil
  end
  take(own, class_limit > 0 and math.max(#own + 1 - class_limit, 0) or 0)
  local makes_room = refused and own or rivals
  local left = #rivals - #goes + 1 - limit
  for _, at in ipairs(left > 0 and #goes > 0 and rivals or {}) do
    others[#others + 1] = not gone[at] and at or nil
  end
  take(#goes > 0 and others or rivals, math.max(left, 0))
  for _, at in ipairs(refused and makes_room or {}) do
    offered[#offered + 1] = turn[at] ~= 1 and at or nil
  end
  return goes, refused, offered
end

-- Adds to `gone` all of these but the newest, of which `most` stay.
local function oldest(names, times, most, gone)
  if #names <= most then
    return
  elseif #names == most + 1 then
    -- Mostly one goes.
    local least = 1
    for at = 2, #names do
      if times[at] < times[least] or times[at] == times[least] and names[at] < names[least] then
        least = at
      end
    end
    gone[#gone + 1] = names[least]
    return
  end
  local function older(a, b)
    return times[a] < times[b] or times[a] == times[b] and names[a] < names[b]
  end
  local order = {}
  for at = 1, #names do
    order[at] = at
  end
  to_front(order, #names - most, older)
  for position = 1, #names - most do
    gone[#gone + 1] = names[order[position]]
  end
end

-- The ids of the records at these positions, and the moments that they have at this byte.
local function moments(ids, found, positions, byte)
  local names, times = {}, {}
  for n = 1, #positions do
    names[n], times[n] = ids[positions[n]], struct.unpack(">i8", found[positions[n]], byte)
  end
  return names, times
end
-- What a `create` returned beside its session, so that it can return it again. It is new device
-- u8, length u8 of the replaced id, that id. Then comes for each session that ended its id (16
-- bytes), the length of its record u32, the record.
local function outcome(is_new, replaced, ended)
  local parts, n = nil, 0
  for at = 1, math.min(#ended, 2 * NOTICES), 2 do
    local id, record = ended[at], ended[at + 1]
    if #ended == 2 then
      return string.char(is_new, #replaced) .. replaced .. id .. struct.pack(">I4", #record) .. record
    end
    parts, n = parts or {}, n + 3
    parts[n - 2], parts[n - 1], parts[n] = id, struct.pack(">I4", #record), record
  end
  return string.char(is_new, #replaced) .. replaced .. (parts and table.concat(parts) or "")
end

-- Adds what `outcome` made of it to a reply.
local function repeated(answer, made)
  local is_new, replaced, at, id, record = 0, "", 1, nil, nil
  if made then
    is_new, replaced, at = struct.unpack(">BBc0", made)
  end
  answer[7], answer[8] = replaced, is_new
  local n = 8
  while made and at <= #made do
    id, record, at = struct.unpack(">c16I4c0", made, at)
    answer[n + 1], answer[n + 2], n = id, record, n + 2
  end
  return answer
end

-- The fields with outcomes that are not needed any more.
local function stale(made, fresh)
  local fields = {}
  for _, field in ipairs(made) do
    fields[#fields + 1] = not fresh[field] and field or nil
  end
  return fields
end

-- Keeps the ticket of a refused sign-in, and the newest of its realm. `offer` is its id, its
-- digest and its terms.
local function leave(key, offer, realm, ids, found, tickets, proven, now)
  local id, kept, own, gone = string.sub(offer, 1, 16), 5 * MINUTE, {}, {}
  redis.call("HSET", key, id, struct.pack(">BBBI3I4i8i8i8i8i8", VERSION, TICKET, 0, realm, 0, now,
    proven, now, kept, now + kept) .. string.sub(offer, 17))
  keep(key, kept)
  for _, at in ipairs(tickets or {}) do
    -- The same call, sent again, leaves it once.
    own[#own + 1] = struct.unpack(">I3", found[at], 4) == realm and ids[at] ~= id and at or nil
  end
  local names, times = moments(ids, found, own, 11)
  names[#names + 1], times[#times + 1] = id, now
  oldest(names, times, TICKETS, gone)
  drop(key, {}, gone)
end

-- Remembers a device and returns whether it is new. `device` is its digest (12 bytes) and how
-- long the devices are kept (i64).
local function note_device(key, device, now)
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
