--[[
  Functions for scripts that report what they changed, if the store was built with `live`. It comes
  before the preludes, and the store puts these locals before it:

  CHANNEL  where to
  PUBLISH  with which command
  ALL      whether changes are reported that end nothing
  CHANGE   the kind of what the script does if it answers 1; nothing if that ends sessions
  BUT      the session that stays if all others end; nothing if none or several stay

  Message  version u8 = 1, kind u8, tag 16 characters. Then, by kind:
           1  ended: at most 16 times session id (16 characters) and reason u8
           2  all but one ended: its session id, reason u8
           3  look again at all sessions of the user
           4  another token: the session id
           5  other data, deadlines or client: the session id
]]
local MOST, ended, changed = 16, {}, nil

-- Sends one message if something changed, and returns the answer. `pcall` because the answer counts, and
-- no message does.
local function report(key, answer)
  local kind, rest = CHANGE and answer[1] == 1 and CHANGE or changed, ARGV[1]
  if #ended > MOST then
    kind, rest = BUT and 2 or 3, BUT and BUT .. string.sub(ended[1], 17) or ""
  elseif #ended > 0 then
    kind, rest = 1, table.concat(ended)
  end
  if kind then
    redis.pcall(PUBLISH, CHANNEL, string.char(1, kind) .. string.sub(key, -17, -2) .. rest)
  end
  return answer
end
