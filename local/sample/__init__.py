"""The sample fleet: real series and believable logs in PostgreSQL, hard cases included."""
