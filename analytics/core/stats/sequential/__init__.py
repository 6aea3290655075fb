"""When a repeated look may decide, and when harm stops an arm."""
