"""Backups of an embedded installation, made while it runs, and new installations made from them.

| module | what it does |
| --- | --- |
| manifest | what a finished backup says about itself, and whether it still is so |
| making | copies the files, in the order in which positions never lie ahead |
| folders | folders that get their name once they are finished |
| unpacking | copies them back into a new folder |
"""
