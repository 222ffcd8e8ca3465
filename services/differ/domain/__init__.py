"""What the differ decides from arguments alone: which files are listed, why others are not, and in which order."""
