-- What a session believes of what it is told: bytes as they are in the files of a dump.
set session
sql_mode = 'NO_AUTO_VALUE_ON_ZERO',
time_zone = '+00:00',
foreign_key_checks = 0,
allow_auto_random_explicit_insert = 1,
max_execution_time = 0
