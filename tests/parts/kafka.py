"""A real Apache Kafka in one process (KRaft: broker and controller), started from the jars that Maven brings."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from tests.parts.server import PartMissing, Server, free_port

ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "tests" / "parts" / "kafka_jars" / "pom.xml"
JARS = ROOT / ".cache" / "kafka"

PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
"""

SOON = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For Java: what is compiled quickly is enough for a broker that lives for minutes, and takes half of the CPU time."""

LEAVES_SOCKETS = "ignore:unclosed <socket.socket:ResourceWarning"
"""For `pytest.mark.filterwarnings`: kafka-python 3.0 leaves it to the garbage collector to close sockets that failed to connect."""


class Kafka:
    """A Kafka of our own on free ports of 127.0.0.1, or the one that `WAYPOST_TEST_KAFKA` names (which nobody may stop).

    With `properties`, always our own, set up like that: text with the fields {port}, {controller_port} and {folder}. With `disk`, too,
    with its data there. `java` are its options. Raises PartMissing if none can be had.
    """

    def __init__(self, properties: str = "", java: Sequence[str] = SOON, disk: Path | None = None) -> None:
        self.bootstrap = "" if properties or disk is not None else os.environ.get("WAYPOST_TEST_KAFKA", "")
        self.ours = not self.bootstrap
        if self.ours:
            self._folder = Path(tempfile.mkdtemp(prefix="waypost-kafka-"))
            self._disk = disk or self._folder
            self._server = self._install(properties or PROPERTIES, java)

    def start(self) -> None:
        """Start it, with the data and on the port that it had before."""
        if self.ours:
            self._server.start()

    def stop(self) -> None:
        """Shut it down in order; the data stays."""
        if self.ours:
            self._server.stop()

    def is_up(self) -> bool:
        """Whether it runs; it ends by itself where it can't go on."""
        return not self.ours or self._server.is_up()

    def kill9(self) -> None:
        """Kill it; the data stays."""
        assert self.ours, "this Kafka is not ours to kill"
        self._server.kill9()

    def close(self) -> None:
        """Stop it and delete its data."""
        if self.ours:
            self._server.kill9()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _install(self, template: str, options: Sequence[str]) -> Server:
        java = shutil.which("java")
        if java is None:
            raise PartMissing("Kafka needs Java 17, and there is no java")
        port, properties = free_port(), self._folder / "server.properties"
        self.bootstrap = f"127.0.0.1:{port}"
        properties.write_text(template.format(port=port, controller_port=free_port(), folder=self._disk))
        run = [
            java,
            "-Xmx512m",
            *options,
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "-cp",
            f"{jars()}/*",
        ]
        cluster = uuid.uuid4().hex[:22]
        form = [*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        done = subprocess.run(form, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PartMissing(f"Kafka's storage could not be made: {done.stderr}")
        return Server([*run, "kafka.Kafka", str(properties)], "Kafka Server started", self._folder / "kafka.log")


def jars() -> Path:
    """The folder of Kafka's jars; brought by Maven the first time."""
    if not JARS.exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise PartMissing("Kafka's jars come through Maven, and there is no mvn")
        JARS.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=JARS.parent) as new:
            bring = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
            done = subprocess.run([*bring, f"-DoutputDirectory={new}/jars"], capture_output=True, text=True, check=False)
            if done.returncode:
                raise PartMissing(f"Maven could not bring Kafka's jars: {done.stdout[-2000:]}")
            try:
                Path(new, "jars").rename(JARS)
            except OSError:
                if not JARS.exists():  # else tests that run beside these were first
                    raise
    return JARS
