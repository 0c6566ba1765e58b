--[[
  Functions for the script that renews tokens, about re-authentications; follows `tokens.lua`.
]]
-- The previous tokens, and whether reuse of one ends the session. The current one stops working too, but not if another
-- request with the same token proved who the user is, a moment before: the browser may keep either response. If it is the
-- wrong one, the user signs in again, and no more.
local function before_proven(present, earlier, good, twice, ends)
  earlier = reject(earlier, good)
  if twice then
    return present .. struct.pack(">i8B", good, 0), earlier, 0
  end
  return reject(present .. UNUSED, good), earlier, ends
end

-- The times of a record that follow `created`, idle time and deadline. Neither part of the lifetime becomes longer: another
-- request may have shortened it since this one read it, see `shorter.lua`. The session stays in its era.
local function lives_again(record, proven, activity, idle, absolute)
  local began, authenticated, _, lasts, till = struct.unpack(">i8i8i8i8i8", record, 11)
  local created, body = began % ERA, body_of(record)
  local longest = till - math.max(authenticated % ERA, created)
  if string.byte(body) == 152 then
    longest = math.min(longest, (struct.unpack(">i8", body, #body - 9)))
  end
  local deadline = math.max(proven, created) + math.max(1, math.min(absolute, longest))
  idle = math.min(idle, lasts)
  return struct.pack(">i8i8i8i8", began - created + proven, activity, idle, deadline), idle, deadline
end
