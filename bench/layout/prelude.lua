-- Shared by all scripts of both layouts. KEYS[1] is `T:m`; every other key is derived from its hash tag, so it lies in the same slot.
-- Rules: TIME is read once; all reads and type checks come before the first write (a key that is only written is read first, so that a
-- wrong type stops the script while nothing has changed); numbers are formatted with %.0f; user bytes are opaque.
local call, byte, sub, rep = redis.call, string.byte, string.sub, string.rep
local T = sub(KEYS[1], 1, -3)

local function whole(number)
  return string.format('%.0f', number)
end

local function nowMicros()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

-- For commands with many arguments: Lua's unpack stops at about 8 000.
local function batched(command, key, arguments)
  local count = #arguments
  if count <= 4000 then
    return call(command, key, unpack(arguments))
  end
  for i = 1, count, 4000 do
    call(command, key, unpack(arguments, i, math.min(i + 3999, count)))
  end
end
