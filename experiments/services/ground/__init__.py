"""What every service needs: the changelog, locks, publishing, the outbox, and work that may
fail.
"""
