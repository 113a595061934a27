"""Ingest's own database. Who opens a transaction ends it.

| module | what it does |
| --- | --- |
| tables | the tables |
| sources | sources and their write keys |
| rejected | rejected records and the history of their replays |
| erased | erasures carried out on them |
"""
