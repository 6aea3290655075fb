"""PostgreSQL and Redis of our own, for a machine that has none configured."""
