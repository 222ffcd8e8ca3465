"""The public HTTP API: a person's and a program's way to ask and to watch."""
