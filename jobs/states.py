"""The words that a job is described with, in one place for commands and pages: states, devices."""

from store.states import ACTIVE, ENDED, RESUMABLE, STATES

DEVICES = ("auto", "cpu", "cuda")

__all__ = ["ACTIVE", "DEVICES", "ENDED", "RESUMABLE", "STATES"]
