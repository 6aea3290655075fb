"""How dates are written, for Django."""
