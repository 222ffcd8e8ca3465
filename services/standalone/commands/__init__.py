"""The ``strandline`` command, a file for each kind of thing a person does with it."""
