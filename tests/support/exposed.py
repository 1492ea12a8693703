"""What is encrypted under which key in the kept originals of a working set, read by lxml.

    exposed.py SET

Prints one JSON line for each encrypted element that names a key, of the same octets once, and {"sha256", "unreadable": true} for a file that is no XML to lxml.
"""

import base64
import binascii
import hashlib
import json
import os
import sys

from lxml import etree

M = "{urn:postern:smets1-migration:1}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
XENC = "{http://www.w3.org/2001/04/xmlenc#}"
ELEMENTS = {M + "EncryptedMasterKey", M + "EncryptedS1SPGroupInformation"}


def key_identifier(element):
    for name in element.iter(DS + "X509SKI"):
        try:
            return base64.b64decode("".join("".join(name.itertext()).split()), validate=True)
        except binascii.Error:
            continue
    return None


def named(element, shared):
    own = key_identifier(element)
    if own is not None:
        return own
    for method in element.iter(DS + "RetrievalMethod"):
        return shared.get(method.get("URI", "").removeprefix("#"))
    return None


def text(element, name):
    while element is not None and element.find(name) is None:
        element = element.getparent()
    return None if element is None else "".join(element.find(name).itertext()).strip()


def main(folder):
    seen = set()
    for kept in ["archive", "quarantine"]:
        for place, _, names in os.walk(os.path.join(folder, "data", kept)):
            for path in (os.path.join(place, name) for name in names):
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    octets = file.read()
                sha256 = hashlib.sha256(octets).hexdigest()
                if sha256 in seen:
                    continue
                seen.add(sha256)
                try:
                    root = etree.fromstring(octets, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
                except (etree.XMLSyntaxError, ValueError):
                    print(json.dumps({"sha256": sha256, "unreadable": True}))
                    continue
                shared = {}
                for key in root.iter(XENC + "EncryptedKey"):
                    if key.get("Id") is not None and key_identifier(key) is not None:
                        shared.setdefault(key.get("Id"), key_identifier(key))
                for element in root.iter(*ELEMENTS):
                    key = named(element, shared)
                    if key is not None and len(key) in (8, 20):
                        told = {"key_identifier": key.hex().upper(), "sha256": sha256, "element": etree.QName(element).localname}
                        told["installation"] = text(element, M + "InstallationID")
                        told["device"] = text(element.getparent(), M + "DeviceID") if element.getparent().tag == M + "Device" else None
                        print(json.dumps(told))


main(sys.argv[1])
