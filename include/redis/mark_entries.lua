-- What a page of a stream's entries amounts to: two sums over a digest of each, with its fields and values.
-- Changes nothing: it is called with EVAL_RO.
-- KEYS[1] the stream
-- ARGV[1] where to begin: an id, with "(" before it when it is not meant itself, or "-"
-- ARGV[2] the id before which to end, with "(" before it
-- ARGV[3] the most entries to look at: up to 4096, so that the sums stay whole numbers
-- Returns how many there were, the id of the last one ("" when there was none), and the sums as text.
local page = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
local first, second = 0, 0
for _, entry in ipairs(page) do
    local parts = { entry[1] }
    for _, word in ipairs(entry[2]) do
        parts[#parts + 1] = #word .. ':' .. word
    end
    local digest = redis.sha1hex(table.concat(parts, ','))
    first = first + tonumber(string.sub(digest, 1, 10), 16)
    second = second + tonumber(string.sub(digest, 11, 20), 16)
end
local last = #page > 0 and page[#page][1] or ''
return {#page, last, string.format('%.0f', first), string.format('%.0f', second)}
