"""What another tool would print from the same totals."""
