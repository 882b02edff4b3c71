"""Servers started for a proof and gone afterwards: each in a directory of its own, closed to everybody else.

``place`` gives such a directory below ``UPKEEP_SCRATCH`` (default: the system's temporary folder) and removes it at the
end; `Place.server` runs a server program in it. Nothing outlives us: the programs die with us (`upkeep.guard`), and a
directory whose owner was killed is found by the next run, because the kernel has given its lock back (`sweep`).
"""

from upkeep.scratch.account import account
from upkeep.scratch.place import PREFIX, Place, ScratchServer, look_for_room, place, sweep

__all__ = ["PREFIX", "Place", "ScratchServer", "account", "look_for_room", "place", "sweep"]
