"""NATS and PostgreSQL for one machine: started, supervised and stopped by us, out of wheels, in one directory."""
