-- The ids and ends of the transactions that were ended as a witness.
select current_setting('upkeep.ends') as witness
