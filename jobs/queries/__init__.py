"""Every SQL question has its address here: one module per table or concern. Nothing else in the program writes queries.

Whatever a user may ask names the tenant first; there is no unscoped way to a user's row.
"""
