"""The ledger's arithmetic: scans and their states, outcomes of files, and money."""
