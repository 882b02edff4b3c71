"""The proof that what should be gone is gone: what it means on every engine.

A row is overdue when its time was over so long ago that the engine, or Upkeep's own retention, must have removed it:
how long, each engine's room says (the tolerance). What is overdue in two looks is stuck, not late.
"""
