"""The commands of `waypost`. They talk to a running service over HTTP and import no room; `services.__main__` composes rooms.

entry       how a command begins and ends
commands    the commands that talk to a running service; rejected_commands: those about what was refused
client      one connection to a running service; sending: many touchpoints over several
asking      questions, as tables; checking, deciding, erasing, rejected: what their commands do
simulate/   a realistic, seeded year of journeys, and the truth about it
importing/  NDJSON and CSV files → touchpoints
demo/       send a year, compare every answer with its truth
backups/    copies of an embedded installation, and new ones made of them
parts       the bus and the databases of an installation, by its settings
serving     one process's HTTP server
"""
