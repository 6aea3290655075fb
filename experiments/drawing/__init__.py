"""Geometry of charts: numbers in, coordinates out. Whoever shows them writes the SVG."""
