"""As whom scratch servers run."""

from __future__ import annotations

import os
import pwd
from functools import cache

from upkeep.errors import ConfigurationError


@cache
def account() -> pwd.struct_passwd:
    """Return the account that scratch servers run as: ours, or for root one without rights.

    That is ``nobody``, which is everywhere, owns nothing and cannot log in; ``UPKEEP_SCRATCH_USER`` names another.

    Raises
    ------
    ConfigurationError
        There is no such account.
    """
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid())
    name = os.environ.get("UPKEEP_SCRATCH_USER") or "nobody"
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise ConfigurationError(
            f"there is no account {name!r}: set UPKEEP_SCRATCH_USER to one without rights"
        ) from None
