"""What metrics keeps, and the statements on it. Stores never commit: whoever opened the transaction does.

tables        the tables
generations   which rollups are live, and by which code and settings they were made
taking        records of `journeys` → facts and rollups
facts         a stored fact
changes       facts that came and left, summed up, and noted for a generation that is being filled
summing       sums → rollup rows and histograms, added in place
reading       rollup rows and facts, for questions
moments       facts in the order in which they take effect, for evidence
watermarks    how far journey had come
checking      whether all of it agrees: _sums: rollups with the stored facts, _facts: the other tables, _topic: with `journeys`,
              _filling: the next generation
sampling      a little of that, for the background
filling       where the next generation stands
refreshing    rows of facts brought up to what this version says of them
rebuilding    a next generation from the stored facts, beside the live one
"""
