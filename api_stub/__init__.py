"""The thin face."""
