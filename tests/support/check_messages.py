"""Checks what Postern made of a working set by other implementations: jwcrypto opens the messages, xmlsec1 and lxml with
pyca/cryptography verify the result files.

    check_messages.py SET EVENTS TAKEN...

SET is a working set with expected.json, consumer-private, keys and the outbound folders as the run left them; EVENTS the standard output
of `postern run --once --json`; each TAKEN the standard output of `postern queue take NAME --max N --json` for one queue, which must have
been given every message. Prints one line a mistake and ends with 1, or a summary and 0.
"""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from jwcrypto import jwe, jwk, jws
from lxml import etree

M = "urn:postern:smets1-migration:1"
DS = "http://www.w3.org/2000/09/xmldsig#"
NS = {"m": M, "ds": DS}
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
BEFORE_SIGNATURE = {
    "FILE_NAME_INVALID", "FILE_UNSAFE", "FILE_TOO_LARGE", "FILE_EMPTY", "XML_MALFORMED", "XML_FORBIDDEN", "WRONG_LOCATION",
}
# WRONG_LOCATION is told of a root before the signature, of a Sender or SMSO after it.
SIGNATURE_NOT_HELD = (BEFORE_SIGNATURE - {"WRONG_LOCATION"}) | {"SIGNATURE_MISSING", "SIGNATURE_INVALID", "SIGNER_UNKNOWN"}
ROOTS = {"MigrationGroupEncryptedFile": "MigrationGroupValidationFile", "MigrationCommonFile": "MigrationCommonValidationFile"}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def lines(path):
    return [json.loads(line) for line in read(path).decode("utf-8").splitlines() if line.strip()]


class Checker:
    """One set, its events and its messages; mistakes are gathered, not raised."""

    def __init__(self, folder, events, taken):
        self.folder = folder
        self.expected = json.loads(read(os.path.join(folder, "expected.json")))
        self.events = {(event["location"], event["file"]): event for event in events if event.get("event") == "file"}
        self.taken = taken
        self.mistakes = []
        self.certificate = x509.load_pem_x509_certificate(read(os.path.join(folder, "keys/signing/signing.cert.pem")))
        point = self.certificate.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        digest = hashlib.sha1(point).digest()
        self.key_identifier = (bytes([0x40 | digest[12] & 0x0F]) + digest[13:]).hex().upper()
        self.signing = jwk.JWK.from_pyca(self.certificate.public_key())
        self.consumers = {}
        for queue in ("s1sp", "dco", "common"):
            self.consumers[queue] = jwk.JWK.from_json(read(os.path.join(folder, "consumer-private", f"{queue}.jwk")).decode())

    def wrong(self, subject, text):
        self.mistakes.append(f"{subject}: {text}")

    def require(self, subject, holds, text):
        if not holds:
            self.wrong(subject, text)

    # Messages (interface, section 5).

    def open(self, entry):
        """One line of `queue take`: the message, having checked everything that a careful consumer would."""
        subject = f"message {entry.get('message_id')}"
        token = jwe.JWE()
        token.allowed_algs = ["ECDH-ES+A256KW", "A256GCM"]
        token.deserialize(entry["jwe"])
        self.require(subject, len(entry["jwe"].split(".")) == 5, "no compact JWE")
        header = json.loads(token.objects["protected"])
        queue = next((name for name, key in self.consumers.items() if json.loads(key.export_public())["kid"] == header.get("kid")), None)
        if queue is None:
            self.wrong(subject, f"kid {header.get('kid')} is no consumer's")
            return None
        token.decrypt(self.consumers[queue])
        plain = token.payload
        self.require(subject, (header.get("alg"), header.get("enc")) == ("ECDH-ES+A256KW", "A256GCM"), f"alg and enc are {header.get('alg')}, {header.get('enc')}")
        message = json.loads(plain)
        gateway = jws.JWS()
        gateway.allowed_algs = ["ES256"]
        gateway.deserialize(header["gw"])
        gateway.verify(self.signing)
        claimed = json.loads(gateway.payload)
        self.require(subject, json.loads(gateway.objects["protected"]).get("kid") == self.key_identifier, "gw names another kid than the signing key's identifier by method 2")
        self.require(subject, set(claimed) == {"cek_sha256", "file_sha256", "queue"}, f"gw speaks of {sorted(claimed)}")
        self.require(subject, claimed["cek_sha256"] == hashlib.sha256(token.cek).hexdigest(), "gw's cek_sha256 is another key's")
        self.require(subject, claimed["file_sha256"] == message["file"]["sha256"], "gw's file_sha256 is another file's")
        self.require(subject, claimed["queue"] == queue == message["queue"], "gw, message and kid name different queues")
        named = hashlib.sha256(f"{message['file']['sha256']}:{queue}:{message['installation_id']}".encode()).hexdigest()
        self.require(subject, message["message_id"] == named == entry["message_id"], "message_id is not the digest of file, queue and installation")
        self.require(subject, message["schema"] == "postern.message.v1", "schema")
        self.require(subject, STAMP.fullmatch(message["received_at"]), "received_at")
        return {"message": message, "queue": queue, "cek": token.cek, "iv": entry["jwe"].split(".")[2], "gw": header["gw"]}

    def messages(self):
        opened = [found for found in (self.open(entry) for entry in self.taken) if found]
        by_file, vectors, keys = {}, set(), {}
        for found in opened:
            message = found["message"]
            subject = f"message {message['message_id']}"
            self.require(subject, (found["cek"], found["iv"]) not in vectors, "an IV serves twice under one content key")
            vectors.add((found["cek"], found["iv"]))
            group = (message["file"]["sha256"], found["queue"])
            self.require(subject, keys.setdefault(group, found["cek"]) == found["cek"], "a second content key for one file and queue")
            by_file.setdefault((message["location"], message["file"]["sha256"]), []).append(message)
        self.require("messages", len(set(keys.values())) == len(keys), "one content key serves several files or queues")
        for case in self.expected["cases"]:
            if case["outcomes"][0]["result"] == ["Duplicate"]:
                continue
            got = by_file.pop((case["location"], case["sha256"]), [])
            self.compare(case, got)
        for (location, sha256), extra in by_file.items():
            self.wrong(f"{location} {sha256}", f"{len(extra)} messages of a file that should give none")
        return len(opened)

    def compare(self, case, got):
        subject = f"{case['location']}/{case['file']}"
        wanted = [self.key(message) for message in case["outcomes"][0]["messages"]]
        found = [self.key(message) for message in got]
        if sorted(wanted) != sorted(found):
            self.wrong(subject, f"messages differ: wanted {sorted(wanted)}; got {sorted(found)}"[:2000])
        for message in got:
            self.require(subject, message["location"] == case["location"], "location")
            event = self.events.get((case["location"], case["file"]))
            for name, value in (case["meta"] or {}).items():
                told = message["file"].get(name)
                if name in ("group_id",) and value is None:
                    self.require(subject, told is None, "group_id of a file that has none")
                elif name == "smso":
                    self.require(subject, str(told).upper() == str(value).upper(), f"file.smso is {told!r}, not {value!r}")
                else:
                    self.require(subject, told == value, f"file.{name} is {told!r}, not {value!r}")
            self.require(subject, not event or event["sha256"] == message["file"]["sha256"], "sha256")
            if message["queue"] == "common":
                self.require(subject, "items" not in message and isinstance(message.get("installation"), dict), "a common message holds installation and no items")
            else:
                self.require(subject, message.get("items") or message.get("sealed_items"), "a message without an item")

    @staticmethod
    def key(message):
        items = [[item["element"], item.get("device_id"), item.get("device_type"), item["key_identifier"], item["content"]] for item in message.get("items") or []]
        sealed = [[item["element"], item.get("device_id"), item["key_identifier"], item.get("encrypted_data")] for item in message.get("sealed_items") or []]
        return json.dumps([message["queue"], message["installation_id"], items, sealed])

    # Result files (interface, section 4).

    def results(self):
        count = 0
        for case in self.expected["cases"]:
            subject = f"{case['location']}/{case['file']}"
            folder = os.path.join(self.folder, "out", case["location"])
            stem = case["file"]
            codes = set(case["outcomes"][0]["file_codes"])
            if "FILE_NAME_INVALID" in codes:
                stem = case["sha256"]
            found = [name for name in os.listdir(folder) if re.fullmatch(re.escape(stem) + r"(\.\d+)?\.result\.xml", name)]
            if not found:
                self.wrong(subject, "no result file")
                continue
            for name in found:
                path = os.path.join(folder, name)
                self.require(subject, os.stat(path).st_mode & 0o7777 == 0o640, f"{name} has mode {os.stat(path).st_mode & 0o7777:o}")
                try:
                    self.result(subject, case, path)
                    count += 1
                except Exception as error:
                    self.wrong(subject, f"{name}: {type(error).__name__}: {error}")
        return count

    def result(self, subject, case, path):
        octets = read(path)
        self.verify(subject, octets, path)
        tree = etree.parse(io.BytesIO(octets), etree.XMLParser(resolve_entities=False, no_network=True))
        root = tree.getroot()
        event = self.events.get((case["location"], case["file"]))
        codes = [error.get("Code") for error in root.findall("m:Error", NS)]
        told = {}
        for entry in root.findall("m:Installation", NS):
            reasons = [error.get("Code") for error in entry.findall("m:Error", NS)]
            told.setdefault(entry.findtext("m:InstallationID", namespaces=NS), set()).update(reasons)
            word = "Rejected" if reasons else "Accepted"
            self.require(subject, entry.findtext("m:Result", namespaces=NS) == word, f"installation's Result beside {reasons}")
        outcome = self.outcome(case, root.findtext("m:Result", namespaces=NS), codes, told)
        if outcome is None:
            wanted = [{key: value for key, value in o.items() if key != "messages"} for o in case["outcomes"]]
            self.wrong(subject, f"the result file says {root.findtext('m:Result', namespaces=NS)} {codes} {told}; wanted {wanted}"[:1500])
            return
        kind = etree.QName(root).localname
        type_of_file = case["meta"]["type"] if case["meta"] else case.get("root")
        if set(codes) & (BEFORE_SIGNATURE - {"WRONG_LOCATION"}):
            self.require(subject, kind == "FileRefusal", f"root is {kind} for {codes}")
        elif type_of_file and codes != ["WRONG_LOCATION"]:
            self.require(subject, kind == ROOTS[type_of_file], f"root is {kind} for {codes}")
        self.require(subject, root.get("SchemaVersion") == "1.0", "SchemaVersion")
        header = {etree.QName(child).localname: child.text or "" for child in root.find("m:Header", NS)}
        self.require(subject, header.get("Gateway", "").upper() == self.expected["gateway"], "Gateway")
        self.require(subject, header.get("FileName") == case["file"] or "FILE_NAME_INVALID" in codes, f"FileName is {header.get('FileName')!r}")
        if case["sha256"]:
            self.require(subject, header.get("SHA256") == case["sha256"], "SHA256")
        self.require(subject, re.fullmatch("[0-9a-f]{64}", header.get("AuditHead", "")), "AuditHead")
        for name in ("Received", "Completed"):
            self.require(subject, STAMP.fullmatch(header.get(name, "")), name)
        if set(codes) & SIGNATURE_NOT_HELD or (case["case"].startswith("algorithm-") and codes):
            self.require(subject, not header.get("FileID"), "FileID is told though the signature does not hold")
        if not codes and case["meta"]:
            self.require(subject, header.get("FileID") == case["meta"]["file_id"], "FileID")
            self.require(subject, header.get("LastCounter", "").isdigit() or outcome["result"] == ["Rejected"], "LastCounter")
        duplicate = outcome["result"] == ["Duplicate"]
        self.require(subject, bool(header.get("OriginalResultID")) == duplicate, "OriginalResultID")
        for error in root.iter(f"{{{M}}}Error"):
            self.require(subject, (error.text or "").strip(), f"{error.get('Code')} has no sentence")
        if event:
            self.require(subject, event["result"] == root.findtext("m:Result", namespaces=NS), "event and result file differ")

    @staticmethod
    def outcome(case, word, codes, told):
        """The outcome that a result file has; a file refused whole tells of no installation."""
        for outcome in case["outcomes"]:
            rules = outcome["installations"]
            if word in outcome["result"] and sorted(outcome["file_codes"]) == sorted(codes) and set(rules) == set(told):
                if all(set(rule["must"]) <= told[identity] <= set(rule["may"]) for identity, rule in rules.items()):
                    return outcome
        return None

    def verify(self, subject, octets, path):
        certificate = os.path.join(self.folder, "keys/signing/signing.cert.pem")
        done = subprocess.run(["xmlsec1", "--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", certificate, path], capture_output=True, text=True, check=False)
        self.require(subject, done.returncode == 0, f"xmlsec1 does not verify {os.path.basename(path)}: {done.stderr.strip()[:300]}")
        tree = etree.parse(io.BytesIO(octets), etree.XMLParser(resolve_entities=False, no_network=True))
        signature = tree.getroot()[-1]
        self.require(subject, signature.tag == f"{{{DS}}}Signature", "the signature is not the root's last child")
        info = signature.find("ds:SignedInfo", NS)
        canonical = etree.tostring(info, method="c14n", exclusive=True, with_comments=False)
        value = base64.b64decode("".join(signature.findtext("ds:SignatureValue", namespaces=NS).split()), validate=True)
        self.require(subject, len(value) == 64, "SignatureValue is not r||s")
        key = self.certificate.public_key()
        key.verify(utils.encode_dss_signature(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big")), canonical, ec.ECDSA(hashes.SHA256()))
        transforms = [entry.get("Algorithm") for entry in info.findall("ds:Reference/ds:Transforms/ds:Transform", NS)]
        self.require(subject, transforms in ([DS + "enveloped-signature"], [DS + "enveloped-signature", EXCLUSIVE]), f"transforms {transforms}")
        self.require(subject, [entry.get("URI") for entry in info.findall("ds:Reference", NS)] == [""], "Reference")
        previous = signature.getprevious()
        if signature.tail and previous is not None:
            previous.tail = (previous.tail or "") + signature.tail
        signature.tail = None
        tree.getroot().remove(signature)
        out = io.BytesIO()
        tree.write_c14n(out, exclusive=len(transforms) == 2, with_comments=False)
        stated = base64.b64decode("".join(info.findtext("ds:Reference/ds:DigestValue", namespaces=NS).split()))
        self.require(subject, hashlib.sha256(out.getvalue()).digest() == stated, "DigestValue")

    # What was refused is kept, what is not Postern's to take stands where it was, and nothing else is left behind.

    def originals(self):
        kept = set()
        for folder, _, names in os.walk(os.path.join(self.folder, "data")):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) <= 1 << 30:
                    kept.add(hashlib.sha256(read(path)).hexdigest())
        for case in self.expected["cases"]:
            if case["sha256"] and case["outcomes"][0]["result"] == ["Rejected"]:
                self.require(f"{case['location']}/{case['file']}", case["sha256"] in kept, "the refused original is not kept anywhere under data")
        alone = set(self.expected.get("left_alone", []))
        for path in alone:
            self.require(path, os.path.isfile(os.path.join(self.folder, path)), "is not Postern's to take, and is gone")
        for location in self.expected["locations"]:
            for name in os.listdir(os.path.join(self.folder, "in", location)):
                path = f"in/{location}/{name}"
                folder = os.path.isdir(os.path.join(self.folder, path))
                self.require(path, name.startswith(".") or path in alone or folder, "is still there after the run")

    # Nothing secret stands anywhere in the clear.

    def secrets(self):
        """Searches what the gateway wrote. Archive and quarantine hold the senders' own files, octet for octet."""
        raw = [bytes.fromhex(octets) for octets in self.expected["secrets"]["octets"]]
        texts = list(self.expected["secrets"]["texts"])
        for octets in raw:
            texts += [octets.hex(), octets.hex().upper(), base64.b64encode(octets).decode().rstrip("="), base64.urlsafe_b64encode(octets).decode().rstrip("=")]
        if not texts:
            return 0
        paths = [os.path.join(folder, name) for top in ("data", "out") for folder, _, names in os.walk(os.path.join(self.folder, top)) for name in names
                 if not folder.startswith((os.path.join(self.folder, "data/archive"), os.path.join(self.folder, "data/quarantine")))]
        paths = [path for path in paths if os.path.isfile(path) and not os.path.islink(path)]
        with tempfile.NamedTemporaryFile("w") as needles:
            needles.write("\n".join(texts) + "\n")
            needles.flush()
            # grep looks for thousands of fixed strings in one pass, which no loop here does.
            found = subprocess.run(["grep", "-laF", "-f", needles.name, "--", *paths], capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
        assert found.returncode in (0, 1), found.stderr
        hits = set(found.stdout.splitlines())
        for path in paths:
            content = read(path)
            self.require(os.path.relpath(path, self.folder), path not in hits and not any(octets in content for octets in raw), "holds a secret in the clear")
        return len(paths)


def main(arguments):
    if len(arguments) < 2:
        raise SystemExit(__doc__)
    folder, events, *taken = arguments
    checker = Checker(folder, lines(events), [entry for path in taken for entry in lines(path)])
    messages, results, files = checker.messages(), checker.results(), checker.secrets()
    checker.originals()
    for mistake in checker.mistakes:
        print(mistake)
    print(f"{messages} messages opened by jwcrypto, {results} result files verified by xmlsec1 and lxml, {files} files searched for secrets, {len(checker.mistakes)} mistakes")
    raise SystemExit(1 if checker.mistakes else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
