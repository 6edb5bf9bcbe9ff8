"""What stands behind a query name in a log: schedules are read, and their SQL is followed.

`config` reads the schedule of the fleet, `sql` follows each output column of a query to its table
and column, `binding` brings both together for the rows of a log.
"""
