"""`waypost demo`: a year of journeys through a real service, and every answer compared with what it has to be.

child     the service, as a process of its own: a fresh data folder, a free port, a write key for each source
compare   one line per figure: what was expected, what was found
figures   the figures that the API is asked for, and the truth about them
run       send, wait, compare, report, go on serving
"""
