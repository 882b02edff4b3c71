-- Entries of the table with the hostile name, in its two existing months.
insert into public."Audit Log; drop table x""--'" ("Occurred At", "Who; did")
select
    generate_series(%(first)s::timestamptz, now(), interval '1 hour') as "Occurred At",
    'O''Brien"; drop table students; --' as "Who; did";
