--[[
  Functions for `admit.lua`: which sessions end for a new one. Comes before it.
]]
local EVICTED, REVOKED, REPLACED, EVERYONE = 2, 3, 4, 14
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

-- Of each live session: 1 if it was unused for long, 2 if it is unused and of the new one's client,
-- else nothing; its last activity, which the usual refusal does not need. Tables of numbers cost less than one each.
local turn, active, id_of, record_of = {}, {}, nil, nil

-- Sorts the records. Of the live sessions of its realm that count as the new one does, it returns the
-- positions.
-- Of tickets: id, age and realm. Of what expired: the ids. Of notices, and of what ended with
-- everybody's sessions: the positions. `fresh` has the sessions of which `outcome` is still needed.
local function sort_out(ids, found, now, new)
  local all = { rivals = {}, noted = {}, notices = {}, markers = {}, tickets = {}, passed = {}, fresh = {},
    over = {}, unused = 0 }
  local rivals, own, uncounted = all.rivals, string.sub(new.body, 2, new.own), new.class == UNCOUNTED
  local count, realm, not_before, replaced, chosen = 0, struct.unpack(">I3", new.realm),
    new.not_before, new.replaced, new.chosen
  id_of, record_of = ids, found
  for at, record in ipairs(found) do
    local id = ids[at]
    local created, _, activity, _, _, _, kind, class, place = live(record, now, not_before)
    if created then
      local rival = (class == UNCOUNTED) == uncounted and id ~= replaced and id ~= chosen
        and place == realm
      if rival then
        count = count + 1
        rivals[count] = at
        if not new.refuses then
          active[at] = activity
        end
      end
      if kind > 127 then
        if now - created < MINUTE then
          all.fresh[id .. ".made"] = true
        end
        if rival and now - created > UNUSED_FOR then
          turn[at], all.unused = 1, all.unused + 1
        elseif rival and string.sub(record, 84, 82 + new.own) == own then
          turn[at] = 2
        end
      end
    elseif new.not_before > -2 ^ 62 and live(record, now, -math.huge) then
      all.over[#all.over + 1] = at
    elseif is_ticket(record, now) then
      all.tickets[#all.tickets + 1] = { id = id, ended = struct.unpack(">i8", record, 11),
        realm = string.sub(record, 4, 6) }
    elseif noticed(record, now) then
      all.noted[#all.noted + 1] = at
    elseif string.byte(record, 1) == VERSION then
      all.passed[#all.passed + 1] = id
    end
  end
  return all
end

-- Of notices, and of markers of sessions in other session sets: id and age. A refusal does not need
-- them.
local function remember(all, ids, found)
  local nobody = string.rep("\0", 32)
  for _, at in ipairs(all.noted) do
    local record, into = found[at], nil
    if string.sub(record, 11, 42) ~= nobody then
      into = all.notices
    elseif string.byte(record, 43) == REPLACED then
      into = all.markers
    end
    -- Undelivered ids stay for their minute, because their `create` may still run.
    if into then
      into[#into + 1] = { id = ids[at], ended = struct.unpack(">i8", record, 44) }
    end
  end
end

-- The order of eviction.
local function goes_before(a, b)
  if turn[a] ~= turn[b] then
    return (turn[a] or 3) < (turn[b] or 3)
  elseif active[a] ~= active[b] then
    return active[a] < active[b]
  end
  -- Read only here, because activities are rarely equal.
  local began, other = struct.unpack(">i8", record_of[a], 11), struct.unpack(">i8", record_of[b], 11)
  if began ~= other then
    return began < other
  end
  return id_of[a] < id_of[b]
end

local function older(a, b)
  if a.ended ~= b.ended then
    return a.ended < b.ended
  end
  return a.id < b.id
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

-- The positions of the sessions that must end for the new one, first of its class, then of all;
-- whether one of them was not unused for long; and those whose end would make room.
local function excess(found, all, class, limit, class_limit, refuse)
  local own, goes, gone, others, refused, offered = {}, {}, {}, {}, false, {}
  local rivals = all.rivals
  if refuse == 1 and class_limit == 0 and all.unused == 0 and #rivals >= limit then
    -- The usual refusal, without looking for those that would go.
    return goes, true, rivals
  end
  for _, at in ipairs(refuse == 1 and rivals or {}) do
    active[at] = struct.unpack(">i8", found[at], 27)
  end
  for _, at in ipairs(class_limit > 0 and rivals or {}) do
    own[#own + 1] = string.byte(found[at], 3) == class and at or nil
  end
  local function take(those, count)
    to_front(those, count, goes_before)
    for position = 1, count do
      local at = those[position]
      goes[#goes + 1], gone[at], refused = at, true, refused or turn[at] ~= 1
    end
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
local function oldest(those, most, gone)
  to_front(those, #those - most, older)
  for position = 1, #those - most do
    gone[#gone + 1] = those[position].id
  end
end

-- What began before `moment`, when everybody's sessions ended, leaves notices.
local function end_with_all(key, all, ids, found, kept, moment, now)
  local cause = { reason = EVERYONE, kept = kept, by = "", body = "", at = moment }
  for _, at in ipairs(all.over) do
    all.notices[#all.notices + 1] = finish(key, { id = ids[at], record = found[at] }, cause, now)
  end
end

-- What a `create` returned beside its session, so that it can return it again. It is first sight
-- u8, length u8 of the replaced id, that id. Then comes for each session that ended its id (16
-- bytes), the length of its record u32, the record.
local function outcome(first, replaced, ended)
  local parts = { struct.pack(">BBc0", first, #replaced, replaced) }
  for at = 1, math.min(#ended, NOTICES) do
    parts[at + 1] = ended[at].id .. struct.pack(">I4c0", #ended[at].record, ended[at].record)
  end
  return table.concat(parts)
end

-- Adds what `outcome` made of it to a reply.
local function repeated(answer, made)
  local first, replaced, at, id, record = 0, "", 1, nil, nil
  if made then
    first, replaced, at = struct.unpack(">BBc0", made)
  end
  answer[7], answer[8] = replaced, first
  local n = 8
  while made and at <= #made do
    id, record, at = struct.unpack(">c16I4c0", made, at)
    answer[n + 1], answer[n + 2], n = id, record, n + 2
  end
  return answer
end

-- Adds these sessions to a reply: id, record, id, record, …
local function pairs_of(sessions, answer)
  for _, each in ipairs(sessions) do
    local n = #answer
    answer[n + 1], answer[n + 2] = each.id, each.record
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
local function leave(key, offer, realm, tickets, proven, now)
  if offer == "" then
    return
  end
  local id, kept, gone = string.sub(offer, 1, 16), 5 * MINUTE, {}
  redis.call("HSET", key, id, struct.pack(">BBBc3I4i8i8i8i8i8", VERSION, TICKET, 0, realm, 0, now,
    proven, now, kept, now + kept) .. string.sub(offer, 17))
  keep(key, kept)
  local own = { { id = id, ended = now } }
  for _, each in ipairs(tickets) do
    -- The same call, sent again, leaves it once.
    own[#own + 1] = each.realm == realm and each.id ~= id and each or nil
  end
  oldest(own, TICKETS, gone)
  drop(key, {}, gone)
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
