"""What this package raises on its own account: each message names the thing and the cure."""

DONE, UNIT_FAILED, BAD_INPUT, INTERRUPTED = range(4)


class JobError(Exception):
    """Root: a request that cannot be met as it was made; a command ends with `exit_code`."""

    exit_code = BAD_INPUT


class Unreachable(JobError):  # noqa: N818  named for what is so
    """The home's owner gives no answer just now: it restarts within seconds, so ask again."""

    exit_code = INTERRUPTED


class HomeInUse(JobError):  # noqa: N818
    """Another process owns the home, and this request needs it to itself."""


class Interrupted(JobError):  # noqa: N818
    """The program was told to stop before the job ended."""

    exit_code = INTERRUPTED
