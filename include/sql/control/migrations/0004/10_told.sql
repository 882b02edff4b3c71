-- Which severity of a finding people outside were told of last, while it stands for them; null: of none. What differs
-- from where the finding stands now is still to be told, so that a message which could not be delivered is sent again.
alter table upkeep.issue add column told text;
