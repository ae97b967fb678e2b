"""The one exception that a user may see: a sentence, not a traceback."""


class EishilError(Exception):
    """A user's mistake or a missing tool, told in one sentence: what was wrong, where, and what would be right.

    The command line prints the sentence and exits with `exit_code` (2 for usage; a failed verdict is no exception).
    """

    exit_code = 2


class RecipeError(EishilError):
    """A recipe or another input file is malformed. The sentence names the file, the key and what would be right."""


class TargetError(EishilError):
    """The target is unknown, missing, silent, dead, or runs another firmware or model."""


class SilenceError(TargetError):
    """The target does not answer: it hangs, is not powered, or its line is broken. A reset may help."""


class TargetDiedError(TargetError):
    """The process that a target is has ended. It can be started again."""


class SessionLostError(TargetError):
    """The device has forgotten the session, as after a reset. A new one can be opened."""


class LineClosedError(TargetError):
    """The line to the target was closed, as by a pulled cable. It can be opened again once it is back."""


class ToolError(EishilError):
    """A tool that a stage needs is not installed or failed. The sentence says how to get it."""
