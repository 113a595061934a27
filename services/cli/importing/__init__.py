"""`waypost import`: files that nobody wrote for Waypost → touchpoints.

    maps      the map language: how the columns of a table become the fields of a touchpoint
    lines     a file, plain or gzip, as numbered lines (NDJSON) or rows of cells (CSV)
    reading   lines → touchpoints with ids, or a refusal with line number, code and message

NDJSON holds one touchpoint a line and needs no map. A CSV file needs one; it is TOML:

    delimiter = ","                   # one character, "tab", or "whitespace" (any run of blanks and tabs)
    columns = ["who", "when", "what"] # names, if the file has no header line; else the first line names them
    encoding = "utf-8"
    empty = ["", "NA"]                # cells that stand for nothing: their field is left out (default: only "")
    id = "event_id"                   # the column with a unique id; without it the id is a hash of the row (see below)

    [constants]                       # the same for every row: field path = value
    channel = "web"

    [fields]                          # field path = column, or a table that says more
    "identities.customer_id" = "who"  # the last part names the identity's namespace
    occurred_at = { column = "when", format = "%Y-%m-%d %H:%M:%S", time_zone = "Europe/Berlin" }
    "order.amount" = { column = "total", decimals = 2 }                       # a number with exactly so many decimals, as text
    "order.order_id" = { row_id = true, prefix = "o-" }                       # the row's own id
    "order.currency" = { constant = "EUR", when = "total" }                   # always the same, where a column has anything
    channel = { column = "device", values = { desktop = "web", phone = "app" } }   # other values stay as they are

    [types]                           # a column whose values decide the type, and more where wanted
    column = "what"
    [types.values]                    # other values become types as they are
    view = "product_viewed"
    buy = { type = "order_completed", constants = { "order.currency" = "EUR" }, fields = { "order.amount" = "total" } }

    [[touchpoints]]                   # instead of [types]: a row is several touchpoints, such as a case with the times of its life
    type = "case_opened"
    fields = { occurred_at = "opened" }
    [[touchpoints]]
    type = "case_resolved"
    needs = ["resolved"]              # not in rows where this column is empty
    unless = { state = "cancelled" }  # nor in those with this value
    fields = { occurred_at = "resolved" }

What a value of `[types]` or one of `[[touchpoints]]` says wins over `[fields]`, and that over `[constants]`. A field path is `a` or `a.b`, as in the
JSON of a touchpoint. `format` is strptime's; without `time_zone` or an offset in the text, times are UTC; without `format`
they are read as ISO 8601. A time without a time of day is that day's midnight in the map's time zone.

A row's id is a hash of its cells and of which occurrence of the same row in the file it is, so that equal rows are kept
apart, and importing a file again changes nothing.
"""
