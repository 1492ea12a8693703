"""A working set to live with: an empty inbound folder, and signed files that the tests drop when they like."""

import datetime
import hashlib
import os
import re

from cryptography.hazmat.primitives import serialization

import material
from world import DAY, Common, Location, World
from xmlsecurity import b64

MCF = "MigrationCommonFile"
SMALL = 500


def build(folder):
    """`folder`/set is the working set, `folder`/drafts what may be dropped into it or replace one of its files."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    today = now.date()
    stamp = (now - datetime.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    world = World(now - 400 * DAY, now + 400 * DAY, stamp, today - 30 * DAY, today + 30 * DAY, max_file_bytes=4 << 30)
    world.crl_update = now - 2 * DAY
    cgi = world.location("cgi-live", "migration", "70-B3-D5-1F-30-00-A0-08", "CGI")
    for name, kind, settings in (("cgi-second", "migration", {}), ("cgi-early", "early-validation", {"notified": today - 30 * DAY})):
        other = Location(name, kind, cgi.sender, "CGI" if kind == "migration" else None, **settings)
        other.signers = cgi.signers
        world.locations[name] = other
    compromised = world.signer(cgi, "compromised")
    world.key("dco", "DCO")
    world.key("dco-2", "DCO")
    world.key("s1sp", "S1SP")
    added = world.key("added", "DCO", listed=False)
    drafts = {}

    def draft(name, *installations, **options):
        drafts[name] = world.file(cgi, list(installations), **options)

    one = lambda **device: world.installation(cgi).device(**device)
    for number in range(SMALL):
        draft(f"small-{number:03d}.xml", one())
    draft("other-key.xml", one(key="dco-2"))
    draft("other-key-again.xml", one(key="dco-2"))
    draft("added-key.xml", one(key="added"))
    draft("both-queues.xml", world.installation(cgi, "CB").device().s1sp(), world.installation(cgi, "CB").device().s1sp(), group="CB")
    draft("partly.xml", one(), one(key="added"))
    draft("refused.xml", one())
    drafts["refused.xml"] = drafts["refused.xml"].replace(b">ESME<", b">GSME<", 1)
    draft("compromised.xml", one(), signer=compromised)
    # Properly signed over the digest of nothing, in a document that has no canonical form (a relative namespace name).
    nothing = lambda text: re.sub("<ds:DigestValue>[^<]*", f"<ds:DigestValue>{b64(hashlib.sha256(b'').digest())}", text)
    draft("hashed-as-empty.xml", one(), signed_info=nothing)
    drafts["hashed-as-empty.xml"] = drafts["hashed-as-empty.xml"].replace(b" SchemaVersion", b' xmlns:r="relative" SchemaVersion', 1)
    bare = world.installation(cgi)
    identity = world.next_device()
    draft("plain-inside.xml", bare.device(identity=identity, element=bare.master_key(identity)))
    huge = world.installation(cgi)
    for _ in range(256):
        huge.device()
    draft("huge.xml", huge)
    # The largest installation with white space in its base64, which the profile allows, beyond what one child of the root may hold.
    wide = re.sub("(</xenc:CipherValue>)", " " * 35_000 + r"\1", huge.text())
    huge.text = lambda: wide
    draft("huge-and-wide.xml", huge)
    same = {"root": MCF, "fields": {"FileID": "THE-SAME", "Counter": 900_000}}
    draft("common-early.xml", Common(world, cgi.sender), **same)
    draft("common-live.xml", Common(world, cgi.sender), **same)

    world.write(os.path.join(folder, "set"))
    at = lambda *parts: os.path.join(folder, "drafts", *parts)
    for name, octets in drafts.items():
        material.write(at(name), octets)
    added.write(at("register"))
    with open(at("keys.txt"), "w", encoding="utf-8") as file:
        file.writelines(f"{label} {key.hex}\n" for label, key in {**world.register, **world.unlisted}.items())
    der = lambda crl: crl.public_bytes(serialization.Encoding.DER)
    material.write(at("stale.crl"), der(world.ca1.crl(now - 3 * DAY, now - DAY)))
    world.ca1.revoke(compromised.certificate, now - 3 * DAY)
    material.write(at("stale-revoking.crl"), der(world.ca1.crl(now - 3 * DAY, now - DAY)))
