-- Deletes some of a stream's due entries: those below a bound that every consumer group has had and acknowledged.
-- One script is one atomic step on the server: what the groups need is looked up in the same step that deletes.
-- KEYS[1] the stream
-- ARGV[1] the id below which entries were due, and needed by no group, when it was planned
-- ARGV[2] about how many to delete at most; whole nodes of the stream go without being read
-- ARGV[3] how many entries had ever been added when it was planned: a stream with fewer is another one (0: not known)
-- ARGV[4] its first id then ("": not known): a lower one is another stream's, and perhaps no time
-- ARGV[5] its last id then ("": not looked at): a stream has no id of its own, so this entry is its witness. It is there
--         still, or was deleted by itself (XDEL), or, where the oldest go, so is everything that was planned.
--         Before Redis 7 a stream tells neither how many were added nor what was deleted: there it has to be there.
-- Returns a verdict ("trimmed", "changed", "gone"), the entries deleted, the length before and after, and the bound.
local EXACT = 100 -- entries read to find where to cut within a node
local NAMED = 1000 -- entries that are named at once where none can be cut off

local function less(left, right)
    local left_ms, left_seq = string.match(left, '^(%d+)-(%d+)$')
    local right_ms, right_seq = string.match(right, '^(%d+)-(%d+)$')
    -- 64-bit numbers do not fit into Lua's: longer is greater, equal lengths compare as text
    local function compare(a, b)
        if #a ~= #b then
            return #a < #b and -1 or 1
        end
        return a == b and 0 or (a < b and -1 or 1)
    end
    local order = compare(left_ms, right_ms)
    if order == 0 then
        order = compare(left_seq, right_seq)
    end
    return order < 0
end

local function fields(flat)
    local found = {}
    for i = 1, #flat, 2 do
        found[flat[i]] = flat[i + 1]
    end
    return found
end

local key = KEYS[1]
local kind = redis.call('TYPE', key)
if kind['ok'] ~= 'stream' then
    return {'gone', 0, 0, 0, ''}
end
local stream = fields(redis.call('XINFO', 'STREAM', key))
local first = stream['first-entry'] and stream['first-entry'][1]
if (stream['entries-added'] or 0) < tonumber(ARGV[3]) or (first and ARGV[4] ~= '' and less(first, ARGV[4])) then
    return {'changed', 0, stream['length'], stream['length'], ''}
end
local bound = ARGV[1]
local witness = ARGV[5]
if witness ~= '' and first and less(first, bound) and less(stream['max-deleted-entry-id'] or '0-0', witness) then
    if #redis.call('XRANGE', key, witness, witness) == 0 then
        return {'changed', 0, stream['length'], stream['length'], ''}
    end
end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local group = fields(flat)
    local unread = redis.call('XRANGE', key, '(' .. group['last-delivered-id'], '+', 'COUNT', 1)
    if #unread > 0 and less(unread[1][1], bound) then
        bound = unread[1][1]
    end
    local pending = redis.call('XPENDING', key, group['name'])
    if pending[1] > 0 and less(pending[2], bound) then
        bound = pending[2]
    end
end
local before = stream['length']
local deleted
if not stream['entries-added'] then
    -- Before Redis 7, XTRIM … MINID takes an entry for an old one when it is 25 days younger than the first one of its
    -- node: there the due ones are named. The first word is no id of an entry, and lets a right that is missing be seen.
    local due = {'0-0'}
    for _, entry in ipairs(redis.call('XRANGE', key, '-', '(' .. bound, 'COUNT', math.min(NAMED, tonumber(ARGV[2])))) do
        due[#due + 1] = entry[1]
    end
    deleted = redis.call('XDEL', key, unpack(due))
    return {'trimmed', deleted, before, redis.call('XLEN', key), bound}
end
deleted = redis.call('XTRIM', key, 'MINID', '~', bound, 'LIMIT', ARGV[2])
if deleted == 0 then
    local exact = math.min(EXACT, tonumber(ARGV[2]))
    local page = redis.call('XRANGE', key, '-', '(' .. bound, 'COUNT', exact + 1)
    if #page > 0 then
        local cut = page[exact + 1] and page[exact + 1][1] or bound
        deleted = redis.call('XTRIM', key, 'MINID', '=', cut)
    end
end
return {'trimmed', deleted, before, redis.call('XLEN', key), bound}
