"""Fuzzers that can be left running: `python -m fuzz.fuzz_codec --seconds 600`."""
