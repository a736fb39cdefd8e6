"""The states of a job, declared once: from its launch to its end."""

ACTIVE = ("QUEUED", "RUNNING")
RESUMABLE = ("FAILED", "CANCELLED", "INTERRUPTED")
ENDED = ("DONE", *RESUMABLE)
STATES = (*ACTIVE, *ENDED)
