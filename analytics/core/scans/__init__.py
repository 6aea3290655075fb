"""What runs find beside verdicts: health, effects that wear, segments, replays."""
