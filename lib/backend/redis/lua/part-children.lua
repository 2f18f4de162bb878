-- The groups that the branches of a group have opened, in T:b:<gid>:k by index: a gid a line.
-- Gives: childrenOf addChild removeChild commitChildren
-- Needs:
--   base: whole

-- Lines of a text but one.
local function without(lines, line)
  local left = {}
  for other in gmatch(lines, '[^\n]+') do
    if other ~= line then
      left[#left + 1] = other
    end
  end
  return concat(left, '\n')
end

function childrenOf(g, index)
  local children = g.children and g.children[index]
  if children then
    return children
  end
  return g.hasChildren and call('HGET', g.b .. ':k', index) or ''
end

function addChild(g, index, gid)
  local siblings = childrenOf(g, index)
  local children = g.children or {}
  children[index] = siblings == '' and gid or siblings .. '\n' .. gid
  g.children, g.hasChildren = children, true
end

function removeChild(g, index, gid)
  g.children = g.children or {}
  g.children[index] = without(childrenOf(g, index), gid)
end

-- The groups that branches of this one have opened. Before all that says so: an entry that names nothing does no harm.
function commitChildren(g)
  if g.areChildrenGone then
    call('UNLINK', g.b .. ':k')
    return
  end
  for index, children in pairs(g.children) do
    if children == '' then
      call('HDEL', g.b .. ':k', index)
    else
      call('HSET', g.b .. ':k', whole(index), children)
    end
  end
end
