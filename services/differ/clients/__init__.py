"""git and the file system, spoken to with nothing of a repository's own configuration in force."""
