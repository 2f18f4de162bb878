-- Flags: no-writes
-- Needs: none
-- Which commands the user of this connection may not call, and which the server does not know. None of them is called.
-- KEYS: none
-- Derives: none
-- ARGV: for each command: its name (words of a subcommand separated by |) and its arguments, a line each
-- Answers: OK, then for each command: '' (it may be called so) | denied | unknown; nothing more of a server that cannot say
local check, answer = redis.acl_check_cmd, { 'OK' }
for i = 1, check and #ARGV or 0 do
  local words = {}
  for word in string.gmatch(string.match(ARGV[i], '^[^\n]*'), '[^|]+') do
    words[#words + 1] = word
  end
  for word in string.gmatch(ARGV[i], '\n([^\n]*)') do
    words[#words + 1] = word
  end
  local isKnown, mayCall = pcall(check, unpack(words))
  answer[i + 1] = not isKnown and 'unknown' or mayCall and '' or 'denied'
end
return answer
