"""All services in one process on embedded servers, and the ``strandline`` command."""
