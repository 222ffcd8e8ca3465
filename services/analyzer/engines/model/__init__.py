"""The engine that asks a language model: one request a file, no answer lost, no cent unaccounted."""
