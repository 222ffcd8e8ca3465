"""How results and progress look: to a person at a terminal, in a log, and as JSON."""
