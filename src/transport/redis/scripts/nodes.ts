import { script } from './script.ts'

/**
 * Each second of a node: drops what is too old, extends the node's lease, looks for a dead node and compares what is
 * stored with what should be. ARGV: now, log, run, node, lease in milliseconds, the position that the node delivered last,
 * its report for the others.
 *
 * Answers OK or AGAIN, whether the lease had run out, the dead node to reap or nothing, whether there is something to
 * sort, the head, and the generation of the rules; HELLO. A log of which something is missing is given up: the next hello
 * makes a new one.
 */
export const TICK = script(`
if not load() or M.log ~= ARGV[2] or M.run ~= ARGV[3] or M.head < tonumber(ARGV[6]) then return {'HELLO'} end
if call('ZCARD', ORDER) ~= M.count or call('HLEN', DATA) ~= M.count or call('XLEN', TAIL) ~= call('LLEN', TAILS) then
  call('DEL', META)
  return {'HELLO'}
end
local now = clock(ARGV[1])
local more = expire(now)
trimTail(now)
local lease = call('ZSCORE', NODES, ARGV[4])
local hasExpired = not lease or tonumber(lease) <= now or tonumber(lease) % 1 ~= 0
call('ZADD', NODES, str(now + tonumber(ARGV[5])), ARGV[4])
if ARGV[7] ~= '' then call('HSET', WRITERS, 'report '..ARGV[4], ARGV[7]) end
local dead = ''
for _, other in ipairs(call('ZRANGEBYSCORE', NODES, '-inf', str(now), 'LIMIT', 0, 20)) do
  if call('HLEN', SUBS..other) == 0 then
    call('ZREM', NODES, other); call('HDEL', WRITERS, other, 'session '..other, 'report '..other); call('HDEL', FORKS, 'reap '..other)
  else
    local by, till = string.match(call('HGET', FORKS, 'reap '..other) or '', '^(%S+) (%d+)$')
    if not by or by == ARGV[4] or tonumber(till) <= now then
      call('HSET', FORKS, 'reap '..other, ARGV[4]..' '..str(now + 3000))
      dead = other
      break
    end
  end
end
save()
return {more and 'AGAIN' or 'OK', hasExpired and '1' or '0', dead, M.sortedTo < M.sortTo and '1' or '0', str(M.head), str(M.gen)}
`)

/** Some rows of a dead node; none when it is alive again. ARGV: now, log, node. Answers OK, subscriber and document of each. */
export const REAP = script(`
if not load() or M.log ~= ARGV[2] then return {'HELLO'} end
local lease = call('ZSCORE', NODES, ARGV[3])
if lease and tonumber(lease) > clock(ARGV[1]) then return {'OK'} end
return {'OK', unpack(call('HRANDFIELD', SUBS..ARGV[3], 50, 'WITHVALUES'))}
`)

/** The nodes, alive or not. Answers OK and their names. */
export const NODES = script(`
return {'OK', unpack(call('ZRANGE', NODES, 0, 4000))}
`)

/** A page of a node's rows. ARGV: node, cursor. Answers OK, the next cursor, subscriber and document of each. */
export const SCAN = script(`
local page = call('HSCAN', SUBS..ARGV[1], ARGV[2], 'COUNT', 500)
return {'OK', page[1], page[2]}
`)

/** The row of a subscriber on a node. ARGV: node, subscriber. Answers OK and the document, or OK alone. */
export const ROW = script(`
local document = call('HGET', SUBS..ARGV[1], ARGV[2])
return document and {'OK', document} or {'OK'}
`)

/** A node leaves: all that it had is told. ARGV: node. */
export const BYE = script(`
if call('HLEN', SUBS..ARGV[1]) == 0 then call('ZREM', NODES, ARGV[1]); call('HDEL', WRITERS, ARGV[1], 'session '..ARGV[1], 'report '..ARGV[1]); call('HDEL', FORKS, 'reap '..ARGV[1]) end
return {'OK'}
`)
