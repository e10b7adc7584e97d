"""What the tests of more than one module share; the scripted peer, which has tests of its own, is in `tests.peer`."""
