"""The lifecycle's verbs, from the launch checklist to promotion and the way back."""
