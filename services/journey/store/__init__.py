"""Journey's tables, and all that reads and writes them. Nothing here commits: who opens a transaction ends it.

| module | what it does |
| --- | --- |
| tables | the tables |
| identities | identities, the sets they were seen in, locks, sightings |
| touchpoints | stores each touchpoint once, finds copies, changes owners |
| clocks, timing | what clocks are off by, and the times of touchpoints put right |
| versions | versions of what is published |
| people | states, months of facts, journeys, cases, what is to be published |
| commands, commanding | commands, each once, and what carries out which |
| ownership, linking | who owns what, and what changes hands by touchpoints, links and unlinks |
| releases, releasing, weights, aside | who is released, whose months are too large, who is set aside |
| write | a batch of touchpoints, from records to facts, in one transaction |
| erasing, burying, ghosts, rising, hiding | erasures: what is removed, what is left of it, what comes again, names under keyed hashes |
| spread, destination | over which partitions months are spread; what the topic they are published to has lost |
| departing, receipts | months that are gone until the bus has their nulls; what became of erasures |
| read, resolving | what the API asks; who is who at a time, and why |
| paths | by what two identities are one person |
| checking, recount, reclock | everything recomputed from the stored touchpoints, and compared |
| checking_rows, checking_topic | tables compared with each other, and with the topics |
| generation | which settings the tables were made with |
| shadow, switching | the second set of tables that a rebuild fills, and how it takes the place of the first |
"""
