"""The programs of an installation: what runs, what restarts it, and its embedded servers."""
