-- A trigger, or extended statistics, made anew as the catalog describes it.
{statement}
