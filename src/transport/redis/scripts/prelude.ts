/**
 * Every script of the log begins with this: the names of the keys, the state of the log as `M`, its clock, and how
 * entries come and go. Members of `order` are `position at bytes frameBytes gen:rule group id`; places that rules have
 * left are in `places` as `position at id`. A script that changes something ends with `save()`.
 */
export const PRELUDE = `
local META,ORDER,DATA,IDS,DUPS,PLACES,RULED,GROUPS,SUMS,TAIL,TAILS,WRITERS,NODES,FORKS = unpack(KEYS)
local SUBS = string.sub(META, 1, -5)..'subs:'
local call = redis.call
local GAP, STEP, PLACES_MAX, TRIMS = 4294967296, 500, 100000, 2000
local function str(n) return string.format('%.0f', n) end
local function pad(n) return string.format('%016.0f', n) end
local M = {}
-- Counts the steps of this script, so that it ends before it holds the server up.
local drops = 0
local TEXTS = {'log','run','headId','rules','shape','maxCount','maxAge','maxBytes'}
local NUMBERS = {'v','head','headAt','latest','offset','count','bytes','dropped','horizon','loss','placeCount','placeBytes',
  'gen','sortTo','sortedTo','tailBytes','tailLast','windowMs','windowBytes','forks','losses'}
local function load()
  local v = call('HMGET', META, unpack(TEXTS))
  if not v[1] then return false end
  for i, name in ipairs(TEXTS) do M[name] = v[i] or '' end
  v = call('HMGET', META, unpack(NUMBERS))
  for i, name in ipairs(NUMBERS) do M[name] = tonumber(v[i] or '0') end
  for _, name in ipairs({'maxCount','maxAge','maxBytes'}) do M[name] = tonumber(M[name]) end
  M.R = M.rules ~= '' and cjson.decode(M.rules) or {}
  return true
end

-- Counts and bytes of rules and groups, read once and written back by save().
local sums = {}
local function sumOf(key)
  local s = sums[key]
  if not s then
    local count, bytes = string.match(call('HGET', SUMS, key) or '0 0', '^(%d+) (%d+)$')
    s = {tonumber(count), tonumber(bytes), false}
    sums[key] = s
  end
  return s
end
local function addTo(key, count, bytes)
  local s = sumOf(key)
  s[1] = s[1] + count; s[2] = s[2] + bytes; s[3] = true
end
local function save()
  local fields = {'headId', M.headId}
  for _, name in ipairs(NUMBERS) do fields[#fields+1] = name; fields[#fields+1] = str(M[name]) end
  call('HSET', META, unpack(fields))
  for key, s in pairs(sums) do
    if s[3] then
      if s[1] == 0 then call('HDEL', SUMS, key) else call('HSET', SUMS, key, str(s[1])..' '..str(s[2])) end
      s[3] = false
    end
  end
end

-- Most readings change nothing but the time, which is then kept by the second.
local loadedAt = 0
local function saveReading(given)
  if drops > 0 or given ~= '' or M.latest > loadedAt + 1000 then save() end
end

-- The log's own time. A server whose clock is set back makes no entry older or younger.
local function clock(given)
  loadedAt = M.latest
  local t
  if given ~= '' then t = tonumber(given)
  else local time = call('TIME'); t = time[1] * 1000 + math.floor(time[2] / 1000) end
  t = t + M.offset
  if t < M.latest then M.offset = M.offset + M.latest - t; t = M.latest else M.latest = t end
  return t
end

-- An entry of an older generation of the rules belongs to none until it is sorted.
local function info(member)
  local pos, at, bytes, frame, gen, rule, group, id =
    string.match(member, '^(%d+) (%d+) (%d+) (%d+) (%d+):(%-?%d+) (%S*) (.*)$')
  rule = tonumber(rule)
  if tonumber(gen) ~= M.gen then rule = -1 end
  return tonumber(pos), tonumber(at), tonumber(bytes), tonumber(frame), rule, group, id
end
local function member(pos, at, bytes, frame, rule, group, id)
  return str(pos)..' '..str(at)..' '..str(bytes)..' '..str(frame)..' '..str(M.gen)..':'..str(rule)..' '..group..' '..id
end
local function entryAt(pos) return call('ZRANGEBYSCORE', ORDER, str(pos), str(pos))[1] end

-- The earliest position of an id is in IDS, later ones are in DUPS.
local function addId(id, pos)
  if call('HSETNX', IDS, id, str(pos)) == 0 then call('ZADD', DUPS, 0, id..'\\0'..pad(pos)) end
end
local function dropId(id, pos)
  if call('HGET', IDS, id) ~= str(pos) then call('ZREM', DUPS, id..'\\0'..pad(pos)); return end
  local later = call('ZRANGEBYLEX', DUPS, '['..id..'\\0', '('..id..'\\1', 'LIMIT', 0, 1)[1]
  if later then
    call('HSET', IDS, id, str(tonumber(string.sub(later, -16))))
    call('ZREM', DUPS, later)
  else call('HDEL', IDS, id) end
end

local function rank(rule) return string.format('%04d', rule) end
local function groupKey(rule, group)
  if M.R[rule + 1].perTopic then return rank(rule)..' '..group end
  return rank(rule)
end
local function enter(pos, bytes, rule, group)
  call('ZADD', RULED, 0, rank(rule)..'\\0'..pad(pos))
  addTo(rank(rule), 1, bytes)
  if M.R[rule + 1].perTopic then
    call('ZADD', GROUPS, 0, rank(rule)..'\\0'..group..'\\0'..pad(pos))
    addTo(groupKey(rule, group), 1, bytes)
  end
end
local function leave(pos, bytes, rule, group)
  call('ZREM', RULED, rank(rule)..'\\0'..pad(pos))
  addTo(rank(rule), -1, -bytes)
  if M.R[rule + 1].perTopic then
    call('ZREM', GROUPS, rank(rule)..'\\0'..group..'\\0'..pad(pos))
    addTo(groupKey(rule, group), -1, -bytes)
  end
end

local function drop(entry)
  local pos, at, bytes, frame, rule, group, id = info(entry)
  call('ZREM', ORDER, entry)
  call('HDEL', DATA, str(pos))
  if rule >= 0 then leave(pos, bytes, rule, group) end
  M.count = M.count - 1; M.bytes = M.bytes - bytes; M.dropped = M.dropped + 1
  drops = drops + 1
  return pos, at, id
end
local function over(count, bytes, limit)
  return (limit.maxCount and count > limit.maxCount) or (limit.maxBytes and bytes > limit.maxBytes)
end
local function forgetPlace(place)
  local pos, at, id = string.match(place, '^(%d+) (%d+) (.*)$')
  call('ZREM', PLACES, place)
  dropId(id, tonumber(pos))
  M.placeCount = M.placeCount - 1; M.placeBytes = M.placeBytes - (2 * #id + __PLACE__)
  drops = drops + 1
end
local function cutPlaces(steps)
  local limit = {maxCount = M.maxCount or PLACES_MAX, maxBytes = M.maxBytes and math.floor(M.maxBytes / 8)}
  while M.placeCount > 0 and over(M.placeCount, M.placeBytes, limit) do
    if drops >= steps then return end
    forgetPlace(call('ZRANGE', PLACES, 0, 0)[1])
  end
end
local function leavePlace(pos, at, id)
  call('ZADD', PLACES, str(pos), str(pos)..' '..str(at)..' '..id)
  M.placeCount = M.placeCount + 1; M.placeBytes = M.placeBytes + 2 * #id + __PLACE__
  cutPlaces(math.huge)
end
-- An entry with room of its own leaves no place behind.
local function dropByRule(entry, rule)
  local pos, at, id = drop(entry)
  if M.R[rule + 1].isApart then dropId(id, pos) else leavePlace(pos, at, id) end
end

local function cutGroup(rule, group, steps)
  local limit = M.R[rule + 1]
  local key = groupKey(rule, group)
  local set, from = RULED, rank(rule)
  if limit.perTopic then set = GROUPS; from = from..'\\0'..group end
  while drops < steps do
    local s = sumOf(key)
    if not over(s[1], s[2], limit) then return end
    local first = call('ZRANGEBYLEX', set, '['..from..'\\0', '('..from..'\\1', 'LIMIT', 0, 1)[1]
    if not first then return end
    dropByRule(entryAt(tonumber(string.sub(first, -16))), rule)
  end
end
-- Drops from the front of the log, where entries and places stand in one order, while \`must(at)\` says so.
local function forgetWhile(must, steps)
  while drops < steps do
    local entry = call('ZRANGE', ORDER, 0, 0)[1]
    local place = M.placeCount > 0 and call('ZRANGE', PLACES, 0, 0)[1] or nil
    local pos, at
    if entry then pos, at = info(entry) end
    local placePos, placeAt
    if place then placePos, placeAt = string.match(place, '^(%d+) (%d+) '); placePos = tonumber(placePos); placeAt = tonumber(placeAt) end
    if place and (not entry or placePos < pos) then
      if not must(placeAt) then return end
      forgetPlace(place)
    else
      if not entry or not must(at) then return end
      local position, _, id = drop(entry)
      M.horizon = position
      dropId(id, position)
    end
  end
end
-- Entries with room of their own do not count in the whole.
local function isOver()
  local count, bytes = M.count, M.bytes + M.placeBytes
  for i, rule in ipairs(M.R) do
    if rule.isApart then local s = sumOf(rank(i - 1)); count = count - s[1]; bytes = bytes - s[2] end
  end
  return over(count, bytes, M)
end
local function cut(steps) forgetWhile(isOver, steps) end
-- Answers whether there is more to drop.
local function expire(now)
  for i, rule in ipairs(M.R) do
    if rule.maxAge and (not M.maxAge or rule.maxAge < M.maxAge) then
      while drops < STEP do
        local first = call('ZRANGEBYLEX', RULED, '['..rank(i-1)..'\\0', '('..rank(i-1)..'\\1', 'LIMIT', 0, 1)[1]
        if not first then break end
        local entry = entryAt(tonumber(string.sub(first, -16)))
        local _, at = info(entry)
        if at > now - rule.maxAge then break end
        dropByRule(entry, i - 1)
      end
    end
  end
  if M.maxAge then forgetWhile(function(at) return at <= now - M.maxAge end, STEP) end
  return drops >= STEP
end
-- The tail keeps the newest batch, and those before it that are young and small enough.
local function trimTail(now)
  local trimmed
  for _ = 1, TRIMS do
    local oldest = call('LINDEX', TAILS, 0)
    if not oldest or call('LLEN', TAILS) == 1 then break end
    local last, bytes, at = string.match(oldest, '^(%d+) (%d+) (%d+)$')
    if M.tailBytes <= M.windowBytes and tonumber(at) > now - M.windowMs then break end
    call('LPOP', TAILS)
    M.tailBytes = M.tailBytes - tonumber(bytes)
    trimmed = tonumber(last)
  end
  if trimmed then call('XTRIM', TAIL, 'MINID', str(trimmed + 1)) end
end
local function intoTail(bytes, now, ...)
  call('XADD', TAIL, str(M.head)..'-0', ...)
  call('RPUSH', TAILS, str(M.head)..' '..str(bytes)..' '..str(now))
  M.tailBytes = M.tailBytes + bytes
  M.tailLast = M.head
end
`
