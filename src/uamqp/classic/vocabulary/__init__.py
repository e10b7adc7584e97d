"""Constants, errors and addresses; what an argument may be."""
