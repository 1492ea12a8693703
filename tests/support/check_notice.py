"""Checks a key notification by other implementations: check_notice.py NOTICE.xml NOTICE.html CERT.pem.

xmlsec1 verifies the signature; pyca/cryptography recomputes the Key Identifiers and verifies the certificates of the keys;
lxml reads the page as XML. Prints one line a mistake and ends with 1, or the Key Identifiers and 0.
"""

import base64
import hashlib
import re
import subprocess
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

NS = {"m": "urn:postern:smets1-migration:1"}


def identifier(key, length):
    if isinstance(key, ec.EllipticCurvePublicKey):
        octets = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    else:
        octets = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    digest = hashlib.sha1(octets).digest()
    return digest if length == 20 else bytes([0x40 | digest[12] & 0x0F]) + digest[13:]


def main(notice, page, certificate):
    mistakes = []
    command = ["xmlsec1", "--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", certificate, notice]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        mistakes.append(f"xmlsec1: {done.stderr.strip()}")
    with open(certificate, "rb") as file:
        gateway = x509.load_pem_x509_certificate(file.read())
    root = etree.parse(notice, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()
    html = etree.parse(page, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()
    words = "".join(html.itertext())
    for element in html.iter():
        name = etree.QName(element).localname
        if name in ("script", "link", "img", "iframe", "object", "a", "form") or {"src", "href"} & set(element.attrib) or any(word.startswith("on") for word in element.attrib):
            mistakes.append(f"the page has a {name} that loads or runs something")
    found = []
    for key in root.findall("m:Key", NS):
        stated = bytes.fromhex(key.findtext("m:KeyIdentifier", namespaces=NS))
        pem = key.findtext("m:PublicKey", namespaces=NS)
        public = serialization.load_pem_public_key(pem.encode())
        label = stated.hex().upper()
        found.append(label)
        if identifier(public, len(stated)) != stated or base64.b64decode(key.findtext("m:X509SKI", namespaces=NS)) != stated:
            mistakes.append(f"{label}: not the identifier of its key")
        for text in (label, base64.b64encode(stated).decode(), pem, key.findtext("m:LastDay", namespaces=NS)):
            if text not in words:
                mistakes.append(f"{label}: the page lacks {text}")
        text = key.findtext("m:Certificate", namespaces=NS)
        if text is None:
            continue
        issued = x509.load_pem_x509_certificate(text.encode())
        gateway.public_key().verify(issued.signature, issued.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        usage = issued.extensions.get_extension_for_class(x509.KeyUsage).value
        rightly = usage.key_agreement if isinstance(public, ec.EllipticCurvePublicKey) else usage.key_encipherment
        named = issued.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest == stated
        if not rightly or not named or issued.issuer != gateway.subject or issued.public_key() != public or issued.serial_number <= 0:
            mistakes.append(f"{label}: its certificate")
        last = issued.not_valid_after_utc
        if not re.fullmatch(r"2[23]:59:59", last.strftime("%H:%M:%S")):
            mistakes.append(f"{label}: its certificate ends at {last}")
    print("\n".join(mistakes or found))
    raise SystemExit(1 if mistakes else 0)


main(*sys.argv[1:])
