"""A real Valkey server in a directory."""
