"""What services ask each other and answer at once, one file per service that answers."""
