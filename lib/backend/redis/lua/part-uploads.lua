-- Bytes that a client has put beside the script that speaks of them. Lua reads every byte of a text that it is given, several times where it is cut
-- or joined; so many bytes are only moved to their place, and read from there by clients. Where no script comes they expire.
-- Gives: uploads
-- Needs: none
uploads = {}

local function keyOf(id)
  return T .. ':up:' .. id
end

-- How many bytes came under this name; 0 where they have not, or are gone.
function uploads.sizeOf(id)
  return call('STRLEN', keyOf(id))
end

function uploads.bytesOf(id)
  return call('GET', keyOf(id))
end

-- Writes: from now on the bytes are those of this key.
function uploads.move(id, key)
  call('RENAME', keyOf(id), key)
  call('PERSIST', key)
end
