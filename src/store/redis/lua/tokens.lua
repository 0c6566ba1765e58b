--[[
  Functions for scripts that know previous tokens; follows the prelude.

  Previous token  digest 32 bytes (zeros for none); i64 from when on a request with it is reuse;
                  u8, which is 1 if it does not work even before that.
]]
local NONE, UNUSED = string.rep("\0", 41), "\127" .. string.rep("\255", 7)

-- The part of a live record that only Rust reads.
local function body_of(record)
  return string.sub(record, string.byte(record, 2) % 64 >= 32 and 206 or 83)
end

-- The body without the client of the last request, its seventh field, and what follows that. Their length
-- comes last.
local function body_to_note(record)
  local body = body_of(record)
  local fields = string.byte(body, 1)
  if fields ~= 151 and fields ~= 152 then
    return body
  end
  return "\150" .. string.sub(body, 2, #body - struct.unpack(">I2", body, #body - 1))
end

-- The previous tokens of a live record, the newer first.
local function previous_tokens(record)
  if string.byte(record, 2) % 64 < 32 then
    return NONE, NONE
  end
  return string.sub(record, 124, 164), string.sub(record, 165, 205)
end

-- The previous token with this digest.
local function previous_token(record, digest)
  local newer, older = previous_tokens(record)
  return string.sub(newer, 1, 32) == digest and newer
    or string.sub(older, 1, 32) == digest and older
end

-- Until when a previous token is no reuse, and whether it is rejected.
local function good_until(each)
  return struct.unpack(">i8B", each, 33)
end

-- How long a previous token works after a request has sent its successor.
local function grace_of(record)
  return (struct.unpack(">i8", record, 91))
end

-- The record after the first request with its current token. The grace period of the previous
-- one begins.
local function used(record, kind, now)
  return struct.pack(">BB", VERSION, kind - 64) .. string.sub(record, 3, 155)
    .. struct.pack(">i8", now + grace_of(record)) .. string.sub(record, 164)
end

-- The record after the first request with its first token, which gives it its idle time. What its
-- `create` returned is not needed any more.
local function first_use(key, id, record, lasts)
  redis.call("HDEL", key, id .. ".made")
  keep(key, lasts)
  return struct.pack(">BB", VERSION, string.byte(record, 2) - 128) .. string.sub(record, 3)
end

-- Which of the two previous tokens has this digest, if it still works, and whether it is rejected. A rejected one does
-- for a re-authentication.
local function still_open(digest, newer, older, now, proven)
  for _, each in ipairs({ newer, older }) do
    local good, rejected = good_until(each)
    if string.sub(each, 1, 32) == digest and now < good and (rejected == 0 or proven) then
      return each, rejected == 1
    end
  end
end

-- The record after a request with its other token, if two requests re-authenticated with one: this one is the current one
-- from now on, because the browser kept it. No token was derived then, so there is no salt.
local function taken_over(record)
  local sub = string.sub
  if sub(record, 108, 123) ~= sub(NONE, 1, 16) or string.byte(record, 164) == 1 then
    return record
  end
  return sub(record, 1, 50) .. sub(record, 124, 155) .. sub(record, 83, 123) .. sub(record, 51, 82)
    .. sub(record, 156)
end

-- The reply of `resolve.lua` to a token of a session that has ended.
local function to_ended(record, digest, now, of)
  local opens = string.sub(record, 11, 42) == digest
    or string.byte(record, 2) % 64 == 35 and string.sub(record, 68, 99) == digest
  return opens and { 2, now, of, record } or { 0, now, of }
end

-- The same for a session that ended with everybody's. `previous` is the token, if it is no current one.
local function to_ended_with_all(record, previous, now, of)
  local good, rejected = good_until(previous or NONE)
  local opens = not previous or now < good and rejected == 0
  opens = opens and live(record, now, -math.huge)
  return opens and { 6, now, of, record } or { 0, now, of }
end

-- The record without this previous token, which is unknown from now on.
local function forget(record, previous)
  local from = string.find(record, previous, 124, true)
  return string.sub(record, 1, from - 1) .. NONE .. string.sub(record, from + 41)
end

-- The same token, but rejected, and no reuse until `good` at the latest.
local function reject(each, good)
  if each == NONE then
    return NONE
  end
  local before = struct.unpack(">i8", each, 33)
  return string.sub(each, 1, 32) .. struct.pack(">i8B", math.min(good, before), 1)
end
