"""Who a rule is for: conditions, their predicates, exclusions, and what browsers may read of
them.
"""
