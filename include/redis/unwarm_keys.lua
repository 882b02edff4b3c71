-- Removes keys that still hold what was set by warm_keys; others are ours no longer, and stay. One atomic step.
-- KEYS[1] whose keys are ours, as in warm_keys
-- KEYS[2..] the keys
-- Returns how many were removed.
local owned = KEYS[1]
local removed = 0
for number = 2, #KEYS do
    local key = KEYS[number]
    local mine = redis.call('HGET', owned, key)
    local held = redis.pcall('GET', key)
    if mine and type(held) == 'string' and string.sub(redis.sha1hex(held), 1, 20) == mine then
        redis.call('UNLINK', key)
        removed = removed + 1
    end
    redis.call('HDEL', owned, key)
end
return removed
