--[[
  Functions for scripts that read the whole hash or end sessions; follows the prelude.
]]
local DAY = 86400000

-- The notice of a live record that ends now. `cause` has the reason, how long the notice is kept,
-- the session that causes the end ("" for none), and its body, which is left out if it is long.
-- After a reuse it has the digest of the reused token as `previous`.
local function notice(record, cause, now)
  local kind, previous, by, body = NOTICE, cause.previous or "", cause.by, cause.body
  if string.byte(record, 2) >= 64 then
    -- The client may never have received the current token.
    previous = string.sub(record, 124, 155)
  end
  if previous ~= "" then
    kind = NOTICE + 32
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

-- Ends a live session: its notice replaces its record, and its data is deleted.
local function finish(key, session, cause, now)
  redis.call("HSET", key, session.id, notice(session.record, cause, now))
  redis.call("HDEL", key, session.id .. ".data")
  return { id = session.id, ended = now }
end

-- A notice that no token can read: of an undelivered id whose `create` has not run, or (reason
-- replaced) of a session in another session set that the session `by` replaced.
local function mark(key, id, reason, by, kept, now)
  local cause = { reason = reason, kept = kept, by = by, body = "" }
  redis.call("HSET", key, id, notice(string.rep("\0", 82), cause, now))
end

-- The data of a session, without the operation id before it.
local function data_of(key, id)
  return string.sub(redis.call("HGET", key, id .. ".data") or "", 9)
end

-- The cutoff, if it is not too old to count.
local function cutoff_of(key, now)
  local cutoff = tonumber(redis.call("HGET", key, "cut") or "")
  return cutoff and now < cutoff + DAY and cutoff
end

-- The session ids among the fields, their records, and the other fields. It reads in chunks,
-- because `unpack` cannot take more.
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

-- Deletes an expired guest session. Keeps the record of a user's, without its data and with the
-- moment it expired: all pages of the browser say so, not only the one that asked first.
local function expired(key, id, record, now, of)
  local activity, idle, deadline = struct.unpack(">i8i8i8", record, 27)
  if string.byte(record, 2) % 16 == 2 then
    drop(key, { id })
  elseif idle > 0 then
    local times = struct.pack(">i8i8i8", 0, 0, math.min(deadline, activity + idle))
    redis.call("HSET", key, id, string.sub(record, 1, 26) .. times .. string.sub(record, 51))
    redis.call("HDEL", key, id .. ".data")
    keep(key, DAY / 24)
  end
  return { 3, now, of, record }
end

-- Whether it is a ticket that still works.
local function is_ticket(record, now)
  local version, kind = string.byte(record, 1, 2)
  return version == VERSION and kind == TICKET and #record >= 82
    and now < struct.unpack(">i8", record, 43)
end

-- Whether a record that is not live can be deleted: this version wrote it, and its time is over.
local function is_over(record, now)
  return string.byte(record, 1) == VERSION and not noticed(record, now)
    and not is_ticket(record, now)
end

-- Adds sessions to a reply: id, record, id, record, …
local function add(answer, sessions)
  for _, each in ipairs(sessions) do
    answer[#answer + 1] = each.id
    answer[#answer + 1] = each.record
  end
  return answer
end
