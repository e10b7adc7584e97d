"""Constants, errors and addresses; settings and callbacks."""
