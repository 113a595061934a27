"""A realistic, seeded year of customer journeys, and the truth about it.

    cast     who lives in the year: passers-by, lookers, leads, guests, customers; households that share a tablet or a mailbox
    script   what can happen: type → stage, actor, channel
    story    the list of what one household does, in the order it is told
    visits, shopping, service   the scenes that stories are made of
    lives    one life per kind of person
    year     all of them together, in the order in which they arrive
    truth    what Waypost has to answer, counted from the stories alone

Nothing here imports a room or the contract's code: what a person's year is worth is worked out a second time, from how
it was made. The same seed, size and end give the same year on every machine.
"""
