-- A transaction in which the server refuses every write. Of a second ago: the clocks of its parts differ a little, and
-- of the future nothing can be read. (READ ONLY alone is refused: TiDB would only take it as said.)
start transaction read only as of timestamp now(6) - interval 1 second -- noqa: PRS
