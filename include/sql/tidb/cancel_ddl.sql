-- Takes back a schema change that is not over yet.
admin cancel ddl jobs %(job)s -- noqa: PRS
