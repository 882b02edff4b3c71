-- Cancels the running statement of a session of ours.
kill tidb query %(connection)s -- noqa: PRS
