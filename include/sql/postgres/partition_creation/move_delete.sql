-- Takes the moved rows out of the default partition: as many as were copied, or all is rolled back.
delete from {default} as d
where {belongs}
