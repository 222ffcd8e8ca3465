"""PostgreSQL: a pool that waits for the server, and forward-only migrations."""
