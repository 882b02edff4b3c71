-- Sets keys to rows' values, where they are absent or still hold what was set here before: one atomic step.
-- KEYS[1] whose keys are ours: a hash of key -> first 20 digits of the SHA-1 of the value that was set; "" -> bytes
-- KEYS[2..] the keys
-- ARGV[1] milliseconds that the hash lives: longer than any of its keys
-- ARGV[2] about how many bytes the keys of this run hold by now
-- ARGV[3..] for each key: its value, the value's digest, and the milliseconds that it lives
-- Returns how many were set, how many were left as they are and how many of these live longer now; then the numbers of
-- the keys, from 0, that hold another writer's value: they stay untouched, and are ours no longer.
local owned = KEYS[1]
local set, same, prolonged = 0, 0, 0
local foreign = {}
for number = 0, #KEYS - 2 do
    local key = KEYS[number + 2]
    local value, digest, life = ARGV[3 * number + 3], ARGV[3 * number + 4], ARGV[3 * number + 5]
    local held = redis.pcall('GET', key) -- a table: an error, the key is of another type
    local mine = redis.call('HGET', owned, key)
    if held == value then
        same = same + 1
        -- half of its life at least is left when the next run comes; what another has set, lives as that one wants
        if mine and redis.call('PTTL', key) < life / 2 then
            redis.call('PEXPIRE', key, life)
            prolonged = prolonged + 1
        end
        if mine and mine ~= digest then
            redis.call('HSET', owned, key, digest)
        end
    elseif held == false
        or (type(held) == 'string' and mine and string.sub(redis.sha1hex(held), 1, 20) == mine) then
        redis.call('SET', key, value, 'PX', life)
        redis.call('HSET', owned, key, digest)
        set = set + 1
    else
        if mine then
            redis.call('HDEL', owned, key)
        end
        foreign[#foreign + 1] = number
    end
end
if redis.call('EXISTS', owned) == 1 then
    if tonumber(redis.call('HGET', owned, '') or '0') < tonumber(ARGV[2]) then
        redis.call('HSET', owned, '', ARGV[2])
    end
    redis.call('PEXPIRE', owned, ARGV[1])
end
return {set, same, prolonged, unpack(foreign)}
