"""What measuring a live server needs: a place with experiments, the server, and a load
generator.
"""
