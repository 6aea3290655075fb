"""What people and other systems are sent: words, signatures, addresses, and when to try again."""
