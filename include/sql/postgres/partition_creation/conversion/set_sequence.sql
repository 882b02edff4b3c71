-- The new sequence goes on exactly where the old one stands.
select setval({target}, last_value, is_called) from {sequence}
