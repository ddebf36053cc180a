"""What a job is: its states, tables, queries, policies, settings, and the catalogue of operations.

Knows nothing of Celery, HTTP or S3; everything that touches the outside lives in `workers`, `storage` and `api_stub`.
"""

__version__ = "0.1.0"
