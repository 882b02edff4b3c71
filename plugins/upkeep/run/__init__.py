"""The order of a run, the same for all: observe, gate, plan, apply, observe, gate; every step in the ledger."""
