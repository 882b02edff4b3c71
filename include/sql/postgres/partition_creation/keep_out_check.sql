-- Says that a default partition holds no row of the new range, so that ATTACH need not look while it locks it.
-- Not valid: nothing is scanned under this lock; the validation after it lets readers and writers pass.
alter table {default} add constraint {name} check ({key} is null or {apart}) not valid
