"""Services that run models elsewhere, asked over HTTP.

A kind of service is a row of a table: where it is, what it is sent, what it answers.
"""
