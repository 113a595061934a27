"""The commands of `waypost`. They talk to a running service over HTTP and import no room; `services.__main__` composes rooms.

simulate/   a realistic, seeded year of journeys, and the truth about it
importing/  NDJSON and CSV files → touchpoints
client      one connection to a running service
demo        send a year, compare every answer with its truth
"""
