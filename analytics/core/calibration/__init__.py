"""Does the engine err as seldom as it says? Simulated experiments through the functions that decide
in production.
"""
