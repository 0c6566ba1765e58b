--[[
  Functions for scripts that read the whole hash or end sessions; follows the prelude.
]]
local DAY, AHEAD, NOTICES, CHUNK = 86400000, 100, 64, 4000

-- The notice of a live record that ends now. `cause` has the reason, how long the notice is kept,
-- the session that causes the end, the call ("" for none of either), and the body of that session.
-- A long body is left out. After a reuse `previous` is the digest of the reused token. `at` is when
-- it ended, if not now.
local function notice(record, cause, now)
  local kind, previous, by, call, body = NOTICE, cause.previous or "", cause.by, cause.call or "",
    cause.body
  if string.byte(record, 2) % 128 >= 64 then
    -- The client may never have received the current token.
    previous = string.sub(record, 124, 155)
  end
  if previous ~= "" then
    kind = NOTICE + 32
  end
  kind = call ~= "" and kind + 64 or kind
  if #body > 512 then
    body = ""
  end
  if by == "" and #previous + #call + #body > 0 then
    by = string.rep("\0", 16)
  end
  return struct.pack(">BBi8", VERSION, kind, now + cause.kept) .. string.sub(record, 51, 82)
    .. struct.pack(">Bi8", cause.reason, cause.at or now) .. by .. previous .. call .. body
end

-- Ends a live session: its notice replaces its record, and its data is deleted. With `wrote` and
-- `gone` it adds to these what the caller writes and deletes, because each command costs time.
local function finish(key, id, record, cause, now, wrote, gone)
  local left = notice(record, cause, now)
  if wrote then
    local n, m = #wrote, #gone
    wrote[n + 1], wrote[n + 2] = id, left
    gone[m + 1], gone[m + 2] = id .. ".data", id .. ".made"
  else
    redis.call("HSET", key, id, left)
    redis.call("HDEL", key, id .. ".data", id .. ".made")
  end
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

-- The fields of a session set: session ids, fields with outcomes, and which of the others there are,
-- without data. The ids take the place of the fields.
local function split(fields)
  local count, made, has = 0, {}, {}
  for at = 1, #fields do
    local field = fields[at]
    if #field == 16 then
      count = count + 1
      fields[count] = field
    elseif #field < 16 then
      has[field] = true
    elseif string.sub(field, 17) == ".made" then
      made[#made + 1] = field
    end
  end
  for at = count + 1, #fields do
    fields[at] = nil
  end
  return fields, made, has
end

-- The records of these sessions. It reads in chunks, because `unpack` cannot take more.
local function records(key, ids)
  if #ids <= CHUNK then
    return #ids > 0 and redis.call("HMGET", key, unpack(ids)) or {}
  end
  local found = {}
  for from = 1, #ids, CHUNK do
    local to = math.min(from + CHUNK - 1, #ids)
    for at, record in ipairs(redis.call("HMGET", key, unpack(ids, from, to))) do
      found[from + at - 1] = record
    end
  end
  return found
end

-- Deletes sessions and what belongs to them, and these fields.
local function drop(key, ids, fields)
  local all = fields or {}
  for _, id in ipairs(ids) do
    local n = #all
    all[n + 1], all[n + 2], all[n + 3] = id, id .. ".data", id .. ".made"
  end
  for from = 1, #all, CHUNK do
    redis.call("HDEL", key, unpack(all, from, math.min(from + CHUNK - 1, #all)))
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
