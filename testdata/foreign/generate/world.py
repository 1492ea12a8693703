"""One working set: configuration, key folder, inbound folders, and what each file must give (expected.json)."""

import base64
import datetime
import hashlib
import json
import os
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

import material
from material import Authority, RegisterKey, Signer, new_key, write
from xmlsecurity import M, DS, DSIG11, XENC, XENC11, Encryption, b64, sign

DAY = datetime.timedelta(days=1)
GATEWAY = "90-B3-D5-1F-30-00-0F-01"
ALL_ALGORITHMS = ["ecdsa-sha256", "ecdsa-sha384", "rsa-sha256"]
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACES = f'xmlns:m="{M}" xmlns:xenc="{XENC}" xmlns:xenc11="{XENC11}" xmlns:ds="{DS}" xmlns:dsig11="{DSIG11}"'
GROUPS = """
[[group]]
id = "AA"
requires = [ { element = "EncryptedMasterKey", device_types = ["ESME"] } ]

[[group]]
id = "BA"
requires = [ { element = "EncryptedS1SPGroupInformation" } ]

[[group]]
id = "CA"
requires = [ { element = "EncryptedMasterKey", device_types = ["ESME", "GSME"] } ]

[[group]]
id = "CB"
requires = [ { element = "EncryptedS1SPGroupInformation" }, { element = "EncryptedMasterKey", device_types = ["ESME", "GSME"] } ]
s1sp_information_requires = ["IMSI", "StaticIP"]

[[group]]
id = "DB"
requires = [ { element = "EncryptedMasterKey", device_types = ["ESME"] } ]
"""


def changed(edit, before):
    """What an edit makes of a text; an edit that finds nothing to change would make a case that tests nothing."""
    after = edit(before)
    assert after != before, "the edit changes nothing"
    return after


class Location:
    """One sender's pair of folders with the signers registered for it."""

    def __init__(self, name, kind, sender, smso=None, **settings):
        self.name, self.kind, self.sender, self.smso, self.settings = name, kind, sender, smso, settings
        self.signers = {}
        self.counters = {"MigrationGroupEncryptedFile": 0, "MigrationCommonFile": 0}
        self.number = 0

    def table(self):
        lines = ["", "[[location]]", f'name = "{self.name}"', f'kind = "{self.kind}"', f'sender = "{self.sender}"']
        if self.smso:
            lines.append(f'smso = "{self.smso}"')
        for key, value in self.settings.items():
            lines.append(f"{key} = {value.isoformat() if isinstance(value, datetime.date) else json.dumps(value)}")
        return "\n".join([*lines, f'inbound = "in/{self.name}"', f'outbound = "out/{self.name}"']) + "\n"


class Installation:
    """One Installation element, with the messages and codes that it must give."""

    def __init__(self, world, location, group="CA", identity=None):
        self.world, self.location, self.group = world, location, group
        self.identity = identity or world.next_installation()
        self.parts, self.items, self.information = [], [], []
        self.must, self.may = [], None

    def refuse(self, *codes, may=None):
        """The codes that must come; `may` where more or others are right as well."""
        self.must, self.may = list(codes), may
        return self

    def device(self, kind="ESME", key="dco", identity=None, plain=None, element=None, edit=None, value=None, octets=32, **knobs):
        """A device with its encrypted master key; `key` None leaves it out, `element` gives the EncryptedData's text as it is."""
        identity = identity or self.world.next_device()
        inside = ""
        if key or element:
            if plain is None:
                plain = self.master_key(identity, value, octets)
                plain = changed(edit, plain) if edit else plain
            register_key = self.world.register.get(key) or self.world.unlisted.get(key)
            element = element or Encryption(**knobs).encrypted_data(self.remember(plain), register_key)
            inside = f"<m:EncryptedMasterKey>{element}</m:EncryptedMasterKey>"
            self.items.append({
                "element": "EncryptedMasterKey", "device_id": identity.upper(), "device_type": kind,
                "key_identifier": register_key.hex if register_key else None, "content": b64(plain if isinstance(plain, bytes) else plain.encode()),
            })
        self.parts.append(f"    <m:Device><m:DeviceID>{identity}</m:DeviceID><m:DeviceType>{kind}</m:DeviceType>{inside}</m:Device>\n")
        return self

    def s1sp(self, key="s1sp", edit=None, **knobs):
        """The installation's encrypted S1SP information."""
        plain = self.s1sp_information()
        plain = changed(edit, plain) if edit else plain
        register_key = self.world.register[key]
        element = Encryption(**knobs).encrypted_data(self.remember(plain), register_key)
        self.parts.append(f"    <m:EncryptedS1SPGroupInformation>{element}</m:EncryptedS1SPGroupInformation>\n")
        self.information.append({
            "element": "EncryptedS1SPGroupInformation", "device_id": None, "device_type": None, "key_identifier": register_key.hex,
            "content": b64(plain if isinstance(plain, bytes) else plain.encode()),
        })
        return self

    def remember(self, plain):
        return plain if isinstance(plain, bytes) else plain.encode("utf-8")

    def master_key(self, device, value=None, octets=32):
        if value is None:
            secret = os.urandom(octets)
            self.world.secrets["octets"].append(secret.hex())
            value = b64(secret)
        return (
            f'<m:MasterKey xmlns:m="{M}" GroupID="{self.group}" InstallationID="{self.identity}" DeviceID="{device}">'
            f"<m:KeyValue>{value}</m:KeyValue></m:MasterKey>"
        )

    def s1sp_information(self):
        imsi = f"2341{int.from_bytes(os.urandom(5), 'big') % 10**11:011d}"
        token = f"tok{os.urandom(9).hex()}"
        self.world.secrets["texts"] += [imsi, token]
        return (
            f'<m:S1SPGroupInformation xmlns:m="{M}" GroupID="{self.group}" InstallationID="{self.identity}"><m:IMSI>{imsi}</m:IMSI>'
            f'<m:StaticIP>10.20.{os.urandom(1)[0]}.{os.urandom(1)[0]}</m:StaticIP><m:Parameter Name="token">{token}</m:Parameter></m:S1SPGroupInformation>'
        )

    def text(self):
        return f"  <m:Installation>\n    <m:InstallationID>{self.identity}</m:InstallationID>\n{''.join(self.parts)}  </m:Installation>\n"

    def messages(self):
        made = []
        if self.must:
            return made
        for queue, items in (("dco", self.items), ("s1sp", self.information)):
            if items:
                made.append({"queue": queue, "installation_id": self.identity, "items": items, "sealed_items": []})
        return made


class Common:
    """One Installation of a MigrationCommonFile."""

    def __init__(self, world, supplier, identity=None, edit=lambda text: text, **fields):
        self.identity = identity or world.next_installation()
        self.must, self.may = [], None
        self.fields = {
            "GroupID": "CB", "MeterStatus": "Active", "ResponsibleSupplier": supplier, "MPAN": mpan(os.urandom(6)),
            "MPRN": "1131383004", "CommunicationsProvider": "TEF", "DCCRequestReference": None,
        }
        self.fields.update(fields)
        self.device_id = world.next_device()
        self.edit = edit

    refuse = Installation.refuse

    def text(self):
        fields = "".join(f"    <m:{key}>{value}</m:{key}>\n" for key, value in self.fields.items() if value is not None)
        return self.edit(
            f"  <m:Installation>\n    <m:InstallationID>{self.identity}</m:InstallationID>\n{fields}"
            f"    <m:Device><m:DeviceID>{self.device_id}</m:DeviceID><m:DeviceType>ESME</m:DeviceType><m:Manufacturer>Elster &amp; Co</m:Manufacturer>"
            f"<m:Model>AS300P &lt;v2&gt;</m:Model><m:FirmwareVersion>0A.1F</m:FirmwareVersion></m:Device>\n  </m:Installation>\n"
        )

    def messages(self):
        return [] if self.must else [{"queue": "common", "installation_id": self.identity}]


def mpan(random):
    """Thirteen digits with a valid check digit."""
    twelve = f"{int.from_bytes(random, 'big') % 10**12:012d}"
    check = sum(int(digit) * weight for digit, weight in zip(twelve, (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43))) % 11 % 10
    return twelve + str(check)


class World:
    """Everything of one set, until `write` puts it on disk."""

    def __init__(self, begin, end, created, key_first, key_last, roles=("S1SP", "DCO"), max_file_bytes=12582912):
        self.begin, self.end, self.created = begin, end, created
        self.key_first, self.key_last, self.roles, self.max_file_bytes = key_first, key_last, roles, max_file_bytes
        self.locations, self.register, self.unlisted, self.cases = {}, {}, {}, []
        self.secrets = {"octets": [], "texts": []}
        self.installations = self.devices = 0
        self.after_writing = []
        self.crl_update = begin
        self.left_alone = []
        cn, ou, o = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME
        # The second authority's name needs every escape of RFC 4514, 2.4; it has no CRL.
        self.ca1 = Authority(material.name((ou, "07"), (cn, "Foreign Issuing CA 1")), begin, end)
        self.ca2 = Authority(material.name((o, ' Smith, Jones + "Sons"; <Zo\u00eb>\\ '), (ou, "#07"), (cn, "Foreign = Issuing CA 2")), begin, end)
        self.ca3 = Authority(material.name((cn, "Foreign Stranger CA")), begin, end)  # never an anchor
        self.signing = Signer(key := new_key("P-256"), self.ca1.issue(key, "postern-gateway", GATEWAY))
        self.consumers = {queue: material.consumer(queue) for queue in ("s1sp", "dco", "common")}

    def location(self, *arguments, **settings):
        entry = Location(*arguments, **settings)
        self.locations[entry.name] = entry
        self.signer(entry, "first")
        return entry

    def signer(self, location, label, authority=None, algorithm="P-256", registered=True, **options):
        key = new_key(algorithm)
        signer = Signer(key, (authority or self.ca1).issue(key, f"{location.name}-{label}", location.sender, **options))
        signer.registered = registered
        location.signers[label] = signer
        return signer

    def key(self, label, role, algorithm="P-256", method=2, listed=True, **entry):
        dates = {"first_day": self.key_first, "last_day": self.key_last}
        made = RegisterKey(role, algorithm, method, **{**dates, **entry})
        (self.register if listed else self.unlisted)[label] = made
        return made

    def next_installation(self):
        self.installations += 1
        return f"INST-F{self.installations:06d}"

    def next_device(self):
        self.devices += 1
        return f"90-B3-D5-1F-30-{2 + (self.devices >> 16):02X}-{self.devices >> 8 & 255:02X}-{self.devices & 255:02X}"

    def installation(self, location, group="CA", identity=None):
        return Installation(self, location, group, identity)

    def header(self, location, root, count, group, edit, fields):
        values = {
            "FileID": None, "Counter": None, "Sender": location.sender, "SMSO": location.smso or "CGI", "GroupID": group,
            "Created": self.created, "InstallationCount": count,
        }
        if "Counter" not in fields:
            location.counters[root] += 1
            values["Counter"] = location.counters[root]
        values.update(fields)
        if values["FileID"] is None:
            values["FileID"] = f"{location.name}.{'C' if root.startswith('MigrationC') else 'G'}{values['Counter']}"
        self.meta = {
            "type": root, "file_id": values["FileID"], "counter": values["Counter"], "sender": location.sender.upper(),
            "smso": values["SMSO"], "group_id": values["GroupID"], "created": values["Created"],
        }
        lines = "".join(f"    <m:{key}>{value}</m:{key}>\n" for key, value in values.items() if value is not None)
        text = f"  <m:Header>\n{lines}  </m:Header>\n"
        return changed(edit, text) if edit else text

    def file(self, location, installations, root="MigrationGroupEncryptedFile", group="CA", header=None, fields=None, edit=None,
             signer="first", signed=True, head=HEAD, **options):
        """The octets of a whole file; `edit` turns the text before it is signed, `options` go to the signature."""
        group = None if root == "MigrationCommonFile" else group
        text = (
            f'{head}<m:{root} {NAMESPACES} SchemaVersion="1.0">\n{self.header(location, root, len(installations), group, header, fields or {})}'
            f"{''.join(entry.text() for entry in installations)}  @@SIGNATURE@@\n</m:{root}>\n"
        )
        if edit:
            text = changed(edit, text)
        if not signed:
            return text.replace("  @@SIGNATURE@@\n", "").encode("utf-8")
        signer = location.signers[signer] if isinstance(signer, str) else signer
        return sign(text, signer, **options)

    def add(self, case, location, octets, installations=None, codes=None, outcomes=None, name=None, result=None, clause=None, content=True, root=None):
        """Puts a file into a location's inbound folder with what it must give."""
        location.number += 1
        name = name or f"{location.number:03d}-{case}.xml"
        if outcomes is None and codes:
            # More than one code: the interface leaves open which; each is an outcome of its own.
            outcomes = [{"result": ["Rejected"], "file_codes": [code], "installations": {}, "messages": []} for code in codes]
        elif outcomes is None:
            refused = sum(bool(entry.must) for entry in installations)
            word = result or ("Accepted" if not refused else "Rejected" if refused == len(installations) else "PartlyAccepted")
            messages = [] if word == "Duplicate" or location.kind != "migration" else [m for entry in installations for m in entry.messages()]
            outcomes = [{
                "result": [word], "file_codes": [],
                "installations": {entry.identity: {"must": sorted(set(entry.must)), "may": sorted(set(entry.must) | set(entry.may or []))} for entry in installations},
                "messages": messages,
            }]
        self.cases.append({
            "case": case, "kind": "good" if outcomes[0]["result"] == ["Accepted"] else "bad", "stage": 1, "location": location.name, "file": name,
            "sha256": hashlib.sha256(octets).hexdigest() if content else None, "outcomes": outcomes, "meta": self.meta if installations else None,
            **({"clause": clause} if clause else {}), **({"root": root} if root else {}),
        })
        if octets is not None:
            self.after_writing.append((location.name, name, octets))
        return octets

    def good(self, case, location, installations, clause=None, group="CA", **options):
        octets = self.file(location, installations, group=group, **options)
        return self.add(case, location, octets, installations, clause=clause)

    def write(self, folder):
        """Puts the whole set on disk."""
        tables = [
            "[gateway]", 'data = "data"', 'keys = "keys"', f'eui = "{GATEWAY}"', f"roles = {json.dumps(list(self.roles))}",
            'time_zone = "Europe/London"', f"max_file_bytes = {self.max_file_bytes}", "",
        ]
        config = "\n".join(tables) + "".join(entry.table() for entry in self.locations.values()) + GROUPS
        config += "".join(f'\n[[queue]]\nname = "{queue}"\nconsumer_key = "consumers/{queue}.pub.jwk"\nbackend = "embedded"\n' for queue in self.consumers)
        at = lambda *parts: os.path.join(folder, *parts)
        write(at("postern.toml"), config.encode())
        cert = lambda certificate: certificate.public_bytes(serialization.Encoding.PEM)
        write(at("keys/anchors/ca-1.pem"), cert(self.ca1.certificate))
        write(at("keys/anchors/ca-2.pem"), cert(self.ca2.certificate))
        now = datetime.datetime.now(datetime.timezone.utc)
        write(at("keys/crls/ca-1.crl"), self.ca1.crl(self.crl_update, self.end).public_bytes(serialization.Encoding.DER))
        write(at("keys/signing/signing.cert.pem"), cert(self.signing.certificate))
        write(at("keys/signing/signing.key.pem"), material.pem(self.signing.key), 0o600)
        for location in self.locations.values():
            for label, signer in location.signers.items():
                if signer.registered:
                    write(at("keys/senders", location.sender, f"{label}.pem"), cert(signer.certificate))
            write(at("in", location.name, ".gitkeep"), b"")
            write(at("out", location.name, ".gitkeep"), b"")
        for key in self.register.values():
            key.write(at("keys/register"), with_private=key.role in self.roles)
            write(at("consumer-private/register", f"{key.hex}.key.pem"), material.pem(key.key), 0o600)
        for queue, (private, public) in self.consumers.items():
            write(at("keys/consumers", f"{queue}.pub.jwk"), json.dumps(public).encode())
            write(at("consumer-private", f"{queue}.jwk"), json.dumps(private).encode(), 0o600)
        for location, name, octets in self.after_writing:
            path = at("in", location, name)
            octets(path) if callable(octets) else write(path, octets)
        for path in self.left_alone:
            write(at(path), b"<a/>")
        expected = {
            "scenario": "foreign documents made by lxml and pyca/cryptography", "roles": list(self.roles), "static": False,
            "made": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "london_day": now.astimezone(ZoneInfo("Europe/London")).date().isoformat(), "stages": 1,
            "gateway": GATEWAY,
            "locations": {entry.name: {"kind": entry.kind, "sender": entry.sender} for entry in self.locations.values()},
            "left_alone": self.left_alone, "secrets": self.secrets, "cases": self.cases,
        }
        write(at("expected.json"), (json.dumps(expected, indent=1, ensure_ascii=False) + "\n").encode())
        os.chmod(at("keys"), 0o700)
