-- Takes the rows of the range out of the default partition: as many as were copied, or all is rolled back.
delete from only {default}
where {key} >= {lower} and {key} < {upper}
