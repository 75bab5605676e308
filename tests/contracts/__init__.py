"""What every store and queue must do, whoever provides it.

To run these against another implementation, add a way to make one to `backends.py`.
"""
