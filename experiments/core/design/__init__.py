"""What an experiment is planned to be: specs, designs, their rules, policies and buckets."""
