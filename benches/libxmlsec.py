"""How many encrypted elements a second libxmlsec decrypts on one thread: PyPI's xmlsec, in the environment of `tests/run --setup`.

    libxmlsec.py SET ELEMENTS

Prints elements a second of processor time, how many they were, and the SHA-256 of all plaintexts in document order, so that the caller
can see that they are right.

What is not decryption is kept out of the measured time: documents are parsed before; `Type` is taken off, so that it gives octets and
does not parse and insert them; keys are named by KeyName, since it finds none by an X509SKI without a certificate. As of 1.3 it reads no
KeyValue unless told to, which the Python package has no means for, so each originator's public key is loaded before as well: less work
for it than Postern has.
"""

import base64
import hashlib
import os
import sys
import time

import xmlsec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

DS = "{http://www.w3.org/2000/09/xmldsig#}"
DSIG11 = "{http://www.w3.org/2009/xmldsig11#}"
XENC = "{http://www.w3.org/2001/04/xmlenc#}"


def private_keys(folder):
    """Every private key of the register, named by its key identifier."""
    keys = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".key.pem"):
            key = xmlsec.Key.from_file(os.path.join(folder, name), xmlsec.KeyFormat.PEM)
            key.name = name.split(".")[0]
            keys.append(key)
    return keys


def elements_of(folder, most):
    """The first encrypted elements of the files of a folder, in the order of their names."""
    elements = []
    for name in sorted(os.listdir(folder)):
        if len(elements) < most and name.endswith(".xml"):
            document = etree.parse(os.path.join(folder, name), etree.XMLParser(huge_tree=True))
            elements.extend(document.iter(f"{XENC}EncryptedData"))
    return elements[:most]


def named(element, name):
    """A KeyName in place of what says otherwise which key it is."""
    for child in list(element):
        element.remove(child)
    etree.SubElement(element, f"{DS}KeyName").text = name


def prepare(data, keys, manager):
    """Takes off `Type`, and names the keys; puts the originator's into the manager."""
    del data.attrib["Type"]
    x509_data = next(data.iter(f"{DS}X509Data"))
    identifier = base64.b64decode(x509_data.findtext(f"{DS}X509SKI")).hex().upper()
    assert any(key.name == identifier for key in keys)
    named(x509_data.getparent(), identifier)
    for originator in data.iter(f"{XENC}OriginatorKeyInfo"):
        point = next(originator.iter(f"{DSIG11}PublicKey")).text
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64.b64decode(point))
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)
        key.name = point
        manager.add_key(key)
        named(originator, key.name)


def main(folder, most):
    keys = private_keys(os.path.join(folder, "keys", "register"))
    elements = elements_of(os.path.join(folder, "in", "cgi-live"), most)
    managers = []
    for at, data in enumerate(elements):
        # A manager is searched key by key, so each has few; but it is large, so each has some.
        if at % 16 == 0:
            manager = xmlsec.KeysManager()
            for key in keys:
                manager.add_key(key)
        prepare(data, keys, manager)
        managers.append(manager)
    plaintexts = []
    begin = time.thread_time()
    for data, manager in zip(elements, managers):
        plaintexts.append(xmlsec.EncryptionContext(manager).decrypt(data))
    seconds = time.thread_time() - begin
    digest = hashlib.sha256(b"".join(plaintexts)).hexdigest()
    print(len(elements) / seconds, len(elements), digest)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
