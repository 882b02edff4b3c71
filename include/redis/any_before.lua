-- Whether a stream holds an entry below a bound: 1 or 0.
-- KEYS[1] the stream
-- ARGV[1] the bound, itself outside
return #redis.call('XRANGE', KEYS[1], '-', '(' .. ARGV[1], 'COUNT', 1)
