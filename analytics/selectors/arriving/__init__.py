"""What arrives from applications: events, the live tail, the wiring."""
