"""The drivers that run plans: the one place where waiting happens."""
