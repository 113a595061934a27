"""The contract between the rooms, and with the world.

| module | what it fixes |
| --- | --- |
| touchpoint | one interaction, as a sender posts it and as it travels on the topic `touchpoints` |
| identity | namespaces, their ranks, a touchpoint's identities and its anchor |
| normal | the one normal form of an identity |
| facts | what a journey states and KPIs count; the records of the topic `journeys` |
| rejected, commands | the records of the topics of those names |
| topics | names of the topics and of their consumers |
| times, calendar | the one way to read and write a time; days, hours and months of a time zone |
| pointers | JSON pointers to what is wrong |
| documents, generate | the JSON Schema and AsyncAPI documents, generated from the types |
| vocabulary, channels | event type → stage, channel, actor, facet; visit → marketing channel |

Nothing here does I/O but for reading the data files that ship beside it.
"""
