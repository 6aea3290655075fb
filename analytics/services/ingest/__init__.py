"""Taking in what applications send, from the spool to the day partitions."""
