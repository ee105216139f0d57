"""From events to durable runs: intake, matching, credits, scheduling, running, recovery."""
