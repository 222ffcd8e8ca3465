"""The only authority on money, and the one that counts outcomes."""
