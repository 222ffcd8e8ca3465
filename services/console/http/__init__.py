"""The public HTTP API, ``/api/v1``: each route asks the service that knows and hands on its answer."""
