"""From bytes to touchpoints, item by item. Pure: no clock, no randomness, no I/O.

unzip.py        gzip, stopped at the limit
split.py        one object, an array or NDJSON → the bytes of each item
decode.py       an item's bytes → Touchpoint, or what is wrong with it
explain.py      what msgspec says → code, JSON pointer, sentence
exact.py        what msgspec lets through: depth, duplicate keys, NUL
check.py        what types can't state: times, money, scales
alias.py        whom an alias names, and the link that a trusted source gives with it
ids.py          ids for touchpoints that came without one
redact.py       personal-data rules: what is dropped or hashed first
accept.py       all of it, one outcome per item

kept.py         a rejected record as it is stored
again.py        a rejected record → what a replay of it publishes
mentions.py     whom a rejected record mentions
"""
