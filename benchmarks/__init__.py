"""What Reactor costs, beside the least that the same work could cost on this machine, in the same run.

`python -m benchmarks` (or `make bench`) measures all; docs/performance.md says what each figure means.
"""
