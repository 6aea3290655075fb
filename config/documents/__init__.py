"""Pages of docs/ that are drawn from tables in the code."""
