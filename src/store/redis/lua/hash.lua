--[[
  What the scripts need that look at a whole hash or end sessions; put after the prelude.
]]
local DAY = 86400000

-- The notice of a live record that ends now. `cause`: reason, how long it is kept, the session
-- that causes it ("" for none) and the body of that one, which is left out where it is long.
local function notice(record, cause, now)
  local kind, previous, by, body = NOTICE, "", cause.by, cause.body
  if string.byte(record, 2) >= 64 then
    -- The present token may never have arrived.
    kind, previous = NOTICE + 32, string.sub(record, 124, 155)
  end
  if #body > 512 then
    body = ""
  end
  if by == "" and #previous + #body > 0 then
    by = string.rep("\0", 16)
  end
  return struct.pack(">BBi8", VERSION, kind, now + cause.kept) .. string.sub(record, 51, 82)
    .. struct.pack(">Bi8", cause.reason, now) .. by .. previous .. body
end

-- Ends a live session: its notice takes its place, its data goes.
local function finish(key, session, cause, now)
  redis.call("HSET", key, session.id, notice(session.record, cause, now))
  redis.call("HDEL", key, session.id .. ".data")
  return { id = session.id, ended = now }
end

-- A notice that no token opens: of an id that was given up before it was made, or (reason
-- replaced) of a session elsewhere that the session `by` took the place of.
local function mark(key, id, reason, by, kept, now)
  local cause = { reason = reason, kept = kept, by = by, body = "" }
  redis.call("HSET", key, id, notice(string.rep("\0", 82), cause, now))
end

-- The entries of a session's data.
local function data_of(key, id)
  return string.sub(redis.call("HGET", key, id .. ".data") or "", 9)
end

-- The cutoff, as long as it counts.
local function cutoff_of(key, now)
  local cutoff = tonumber(redis.call("HGET", key, "cut") or "")
  return cutoff and now < cutoff + DAY and cutoff
end

-- All session ids among its fields, their records, in chunks that `unpack` can take, and what
-- other fields there are.
local function records(key, fields)
  local ids, others = {}, {}
  for _, field in ipairs(fields) do
    if #field == 16 then
      ids[#ids + 1] = field
    else
      others[field] = true
    end
  end
  local found = {}
  for from = 1, #ids, 1000 do
    local to = math.min(from + 999, #ids)
    for at, record in ipairs(redis.call("HMGET", key, unpack(ids, from, to))) do
      found[from + at - 1] = record
    end
  end
  return ids, found, others
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

-- Whether it is a ticket that is still good.
local function is_ticket(record, now)
  local version, kind = string.byte(record, 1, 2)
  return version == VERSION and kind == TICKET and #record >= 82
    and now < struct.unpack(">i8", record, 43)
end

-- Whether what is not live can go: it is ours, and its time is over.
local function is_over(record, now)
  return string.byte(record, 1) == VERSION and not noticed(record, now)
    and not is_ticket(record, now)
end

-- Adds sessions to an answer: id, record, id, record, …
local function add(answer, sessions)
  for _, each in ipairs(sessions) do
    answer[#answer + 1] = each.id
    answer[#answer + 1] = each.record
  end
  return answer
end
