"""Programs as users write them, for type checkers; `make types` runs these, and tests/messaging the programs."""
