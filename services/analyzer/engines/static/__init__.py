"""The free engine: parsers, lint and patterns of our own, for any language, in processes of its own."""
