"""Analysis jobs: runs, decisions, scans, replays, and what they announce."""
