"""What all statistics need: totals of units, moments, encodings, nets."""
