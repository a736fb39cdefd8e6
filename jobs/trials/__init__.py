"""Compression jobs: units that build on each other's files, planned once and reused by content.

`plan` lists the stages of a job with their keys, `reuse` says which of them are to run, `stages`
runs one in a worker, and `folders` says where their files are kept.
"""
