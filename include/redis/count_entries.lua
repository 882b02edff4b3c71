-- Counts a page of a stream's entries, so that neither many nor large entries keep the server from others for long.
-- Changes nothing: it is called with EVAL_RO.
-- KEYS[1] the stream
-- ARGV[1] where to begin: an id, with "(" before it when it is not to be counted itself, or "-"
-- ARGV[2] the id before which to count, with "(" before it
-- ARGV[3] the most entries to look at
-- Returns how many there were, and the id of the last one ("" when there was none).
local page = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2], 'COUNT', ARGV[3])
if #page == 0 then
    return {0, ''}
end
return {#page, page[#page][1]}
