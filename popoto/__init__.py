"""popoto maps Python classes to Redis and Valkey, with pluggable storage."""
