--[[
  What the scripts need that look at a whole hash or end sessions; put after the prelude.
]]
local EVICTED, REPLACED = 2, 4
local DAY = 86400000

-- The notice of a live record that ends now.
local function notice(record, reason, now, kept, by)
  return struct.pack(">BBi8", VERSION, NOTICE, now + kept) .. string.sub(record, 51, 82)
    .. struct.pack(">Bi8", reason, now) .. by
end

-- Ends a live session: its notice takes its place, its data goes.
local function finish(key, session, reason, now, kept, by)
  redis.call("HSET", key, session.id, notice(session.record, reason, now, kept, by))
  redis.call("HDEL", key, session.id .. ".data")
  return { id = session.id, ended = now }
end

-- The entries of a session's data.
local function data_of(key, id)
  return string.sub(redis.call("HGET", key, id .. ".data") or "", 9)
end

-- The cut, as long as it counts.
local function cut_of(key, now)
  local cut = tonumber(redis.call("HGET", key, "cut") or "")
  return cut and now < cut + DAY and cut
end

-- All session ids among its fields, their records, in chunks that `unpack` can take, and whether
-- there is a cut.
local function records(key, fields)
  local ids, has_cut = {}, false
  for _, field in ipairs(fields) do
    if #field == 16 then
      ids[#ids + 1] = field
    elseif field == "cut" then
      has_cut = true
    end
  end
  local found = {}
  for from = 1, #ids, 1000 do
    local to = math.min(from + 999, #ids)
    for at, record in ipairs(redis.call("HMGET", key, unpack(ids, from, to))) do
      found[from + at - 1] = record
    end
  end
  return ids, found, has_cut
end

-- Deletes sessions and their data.
local function drop(key, ids)
  for from = 1, #ids, 1000 do
    local to = math.min(from + 999, #ids)
    redis.call("HDEL", key, unpack(ids, from, to))
    local data = {}
    for at = from, to do
      data[#data + 1] = ids[at] .. ".data"
    end
    redis.call("HDEL", key, unpack(data))
  end
end

-- Whether it is the kept notice of an id that was given up before it was made.
local function given_up(record, now)
  return noticed(record, now) and string.sub(record, 11, 42) == string.rep("\0", 32)
end

-- The hash by what it holds: live sessions, kept notices, ids of what has passed its time; and
-- the live session that is replaced, which is not among the first.
local function sort_out(ids, found, now, not_before, replaces)
  local sessions, notices, passed, replaced = {}, {}, {}, nil
  for at, id in ipairs(ids) do
    local record = found[at]
    local created, _, activity = live(record, now, not_before)
    if created and id == replaces then
      replaced = { id = id, record = record }
    elseif created then
      sessions[#sessions + 1] = { id = id, record = record, created = created, activity = activity }
    elseif given_up(record, now) then
      -- Stays for its minute: its `create` may still come.
    elseif noticed(record, now) then
      notices[#notices + 1] = { id = id, ended = struct.unpack(">i8", record, 44) }
    else
      passed[#passed + 1] = id
    end
  end
  return sessions, notices, passed, replaced
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

-- What is dropped, with the ids of all notices but the newest so many.
local function oldest(notices, most, passed)
  table.sort(notices, function(a, b)
    if a.ended ~= b.ended then
      return a.ended < b.ended
    end
    return a.id < b.id
  end)
  for position = 1, #notices - most do
    passed[#passed + 1] = notices[position].id
  end
  return passed
end

-- Adds sessions to an answer: id, record, id, record, …
local function add(answer, sessions)
  for _, each in ipairs(sessions) do
    answer[#answer + 1] = each.id
    answer[#answer + 1] = each.record
  end
  return answer
end
