"""An experiment's life: which verbs lead where, what each needs, and what users will see."""
