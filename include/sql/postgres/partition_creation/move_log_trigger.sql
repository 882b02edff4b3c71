-- SHARE ROW EXCLUSIVE: waits for writers under way and for nobody else; from then on every change is written down.
create trigger {trigger} after insert or update or delete on {default}
for each row execute function {function}()
