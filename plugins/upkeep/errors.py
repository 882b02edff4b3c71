"""The exceptions of Upkeep: one small tree. Every message says what is wrong and how to mend it."""

from upkeep.model import ReasonCode


class UpkeepError(Exception):
    """Base of all expected failures; its text is shown to people as it is."""

    exit_status = 1


class ConfigurationError(UpkeepError):
    """The fleet file, a connection or an argument is wrong."""

    exit_status = 2


class NotSupportedError(ConfigurationError):
    """A job is not available on an engine."""


class UnreachableError(UpkeepError):
    """A server did not answer, or refused the login."""

    exit_status = 3


class NotAvailableError(UpkeepError):
    """What the work needs is not here: a program, an extension, room on a disk; its text says how to get it."""

    exit_status = 3


class ProgramError(UpkeepError):
    """A program of others failed, or took longer than it may."""


class LedgerError(UpkeepError):
    """The control database cannot record: nothing may be changed."""

    exit_status = 3


class LeaseLostError(UpkeepError):
    """The run no longer holds the lock on the physical database: it must stop at once."""

    exit_status = 3


class LeaseBusyError(UpkeepError):
    """Another run still changes the physical database, and the time to wait for it is over."""

    exit_status = 3


class StopError(UpkeepError):
    """An action must stop between two batches; nothing is wrong with what was done.

    Attributes
    ----------
    code
        ``paused``, ``outside_window`` or ``over_limit``.
    """

    def __init__(self, code: ReasonCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class OverLimitError(StopError):
    """More would go than was approved."""

    def __init__(self, message: str) -> None:
        super().__init__(ReasonCode.OVER_LIMIT, message)


class CancelledError(UpkeepError):
    """The run was asked to stop (Ctrl-C, or the task was cancelled in the UI)."""


class ApprovalRefusedError(UpkeepError):
    """No valid approval of exactly this plan is recorded."""
