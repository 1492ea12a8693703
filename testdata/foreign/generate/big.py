"""Files for the benchmarks: one large one, or many small ones, of as many installations as asked for, two encrypted elements each."""

import datetime
import os

from world import World
from xmlsecurity import XENC, XENC11


def build(algorithm, installations, parameter_octets, files=1):
    """`algorithm` is a register's word; `parameter_octets` makes each S1SPGroupInformation that much longer."""
    world = new_world()
    cgi = world.location("cgi-live", "migration", "70-B3-D5-1F-30-00-A0-08", "CGI")
    world.key("dco", "DCO", algorithm)
    world.key("s1sp", "S1SP", algorithm)
    # libxmlsec refuses a ConcatKDF whose OtherInfo has no octets, and the benchmark has it open the same elements.
    named = {"AlgorithmID": "00", "PartyUInfo": "00" + b"sender".hex(), "PartyVInfo": "00" + b"postern".hex()}
    knobs = {"oaep": ("oaep", XENC + "sha256", XENC11 + "mgf1sha256")} if algorithm.startswith("RSA") else {"kdf": named}
    longer = filler(parameter_octets)
    # Names begin with as many digits each, so that their byte order is the order of the counters.
    cgi.number = 0 if files == 1 else 100_000
    for number in range(files):
        entries = []
        for _ in range(installations):
            entry = world.installation(cgi, "CB").device("ESME", "dco", **knobs).s1sp("s1sp", edit=longer, **knobs)
            # What it must give is known: everything is accepted. A million messages would only fill memory and expected.json.
            entry.items.clear()
            entry.information.clear()
            world.secrets = {"octets": [], "texts": []}
            entries.append(entry)
        world.good("big" if files == 1 else f"small-{number:06}", cgi, entries, group="CB")
    return without_messages(world)


def latency(small, big, installations):
    """Small files of one sender, and big ones of another."""
    world = new_world()
    cgi = world.location("cgi-live", "migration", "70-B3-D5-1F-30-00-A0-08", "CGI")
    mds = world.location("mds-live", "migration", "90-B3-D5-1F-30-00-0B-01", "MDS")
    world.key("dco", "DCO", "P-256")
    world.key("s1sp", "S1SP", "P-256")
    cgi.number = mds.number = 100_000
    for location, files, size in [(cgi, small, 1), (mds, big, installations)]:
        for _ in range(files):
            entries = [world.installation(location, "CB").device("ESME", "dco").s1sp("s1sp") for _ in range(size)]
            world.good("file", location, entries, group="CB")
    return without_messages(world)


def senders(count, files, installations, parameter_octets):
    """As many senders, each with its own files, that come all at once."""
    world = new_world()
    world.key("dco", "DCO", "P-256")
    world.key("s1sp", "S1SP", "P-256")
    longer = filler(parameter_octets)
    for number in range(1, count + 1):
        name = f"S{number:03}"
        location = world.location(f"sender-{number:03}", "migration", f"70-B3-D5-1F-30-01-{number >> 8:02X}-{number & 255:02X}", name)
        for _ in range(files):
            entries = [world.installation(location, "CB").device("ESME", "dco").s1sp("s1sp", edit=longer) for _ in range(installations)]
            world.good("file", location, entries, group="CB")
    return without_messages(world)


def filler(octets):
    """What makes a S1SPGroupInformation that much longer."""
    text, end = os.urandom(octets // 2).hex(), "</m:S1SPGroupInformation>"
    return (lambda before: before.replace(end, f'<m:Parameter Name="filler">{text}</m:Parameter>{end}')) if text else None


def new_world():
    """A set whose keys and certificates do not run out."""
    utc = datetime.timezone.utc
    return World(
        datetime.datetime(2026, 1, 1, tzinfo=utc), datetime.datetime(2046, 12, 31, 23, 59, 59, tzinfo=utc), "2026-11-02T09:00:00Z",
        datetime.date(2026, 1, 1), datetime.date(2046, 12, 31), max_file_bytes=8 << 30,
    )


def without_messages(world):
    """What the files must give is known: everything is accepted. Ten thousand messages would only make expected.json long."""
    world.secrets = {"octets": [], "texts": []}
    for case in world.cases:
        case["outcomes"][0]["messages"] = []
    return world
