"""A process that uses a bus, to be killed or stopped by tests: `python -m tests.contract.bus_child ADDRESS publish|join …`.

publish TOPIC             publishes records one after the other, printing `partition offset key` once each is acknowledged
join GROUP TOPIC [TOPIC]  joins a group, printing what it holds, as JSON, whenever that changes
fill TOPIC                publishes until no file can grow any further, printing `key` once each is acknowledged; then the limit is
                          lifted, and it prints `lifted KEY` for one record more
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
from collections.abc import Sequence

from services.shared.bus import Bus, Outgoing
from services.shared.errors import Unavailable
from tests.contract.bus_places import open_bus


def publish(bus: Bus, topic: str) -> None:
    publisher = bus.publisher()
    for number in itertools.count():
        key = b"%d-%d" % (os.getpid(), number)
        (position,) = publisher.publish([Outgoing(topic, key, b"value of " + key)]).result()
        print(position.partition, position.offset, key.decode(), flush=True)


def join(bus: Bus, group: str, topics: Sequence[str]) -> None:
    consumer = bus.consumer(group, topics)
    told = None
    while True:
        consumer.poll(0.1)
        if told != consumer.assignment():
            told = consumer.assignment()
            print(json.dumps(sorted(told)), flush=True)


def fill(bus: Bus, topic: str) -> None:
    publisher = bus.publisher()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, unlimited[1]))
    try:
        for number in itertools.count():
            publisher.publish([Outgoing(topic, b"%d" % number, bytes(20_000))]).result()
            print(number, flush=True)
    except Unavailable:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        publisher.publish([Outgoing(topic, b"more", b"")]).result()
        print("lifted more", flush=True)


if __name__ == "__main__":
    address, what, *rest = sys.argv[1:]
    opened = open_bus(address, session_timeout_s=2.0)
    if what == "publish":
        publish(opened, rest[0])
    elif what == "fill":
        fill(opened, rest[0])
    else:
        join(opened, rest[0], rest[1:])
