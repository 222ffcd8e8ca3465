"""The ledger's books in PostgreSQL."""
