"""`make bench-guard`: two commits compared in instructions, which a busy machine doesn't change."""
