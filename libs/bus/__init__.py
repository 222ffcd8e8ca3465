"""Publish, consume, ask: how services meet. ``api`` is what handlers see; the rest are its two makers."""
