"""Results to take away: reports and exports."""
