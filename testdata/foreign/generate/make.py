"""Makes Postern's foreign documents: files, keys and expectations by lxml and pyca/cryptography, nothing by Postern.

    make.py shapes DIR      the good shapes; committed as testdata/foreign/shapes
    make.py refusals DIR    files that must be refused, with keys and certificates relative to today; made anew by each test run
    make.py sealed DIR      a gateway that serves one role only: the other role's elements are passed on sealed
    make.py life DIR        a set with an empty inbound folder, and the files that tests of the running gateway drop into it
    make.py big DIR ALGORITHM INSTALLATIONS PARAMETER_OCTETS [FILES]      one large file for the benchmarks, or many files
    make.py latency DIR SMALL BIG INSTALLATIONS      small files of one sender and big ones of another
    make.py senders DIR SENDERS FILES INSTALLATIONS PARAMETER_OCTETS      so many senders with so many files each
    make.py check DIR       opens and verifies what is good in a set, by an opener and a verifier of its own, and by xmlsec1
"""

import base64
import json
import os
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import big
import life
import refusals
import shapes
from xmlsecurity import DS, NS, XENC, open_data, parse, verify


def check(folder):
    """Every case that has messages must verify and open to them; every signed element of it by xmlsec1 too."""
    with open(os.path.join(folder, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    keys = {}
    register = os.path.join(folder, "consumer-private", "register")
    for name in os.listdir(register):
        with open(os.path.join(register, name), "rb") as file:
            keys[bytes.fromhex(name.split(".")[0])] = serialization.load_pem_private_key(file.read(), None)
    opened = verified = 0
    for case in expected["cases"]:
        outcome = case["outcomes"][0]
        if outcome["file_codes"] or outcome["result"] == ["Duplicate"]:
            continue
        with open(os.path.join(folder, "in", case["location"], case["file"]), "rb") as file:
            octets = file.read()
        senders = os.path.join(folder, "keys", "senders", expected["locations"][case["location"]]["sender"])
        certificates = {}
        for name in sorted(os.listdir(senders)):
            with open(os.path.join(senders, name), "rb") as file:
                certificates[os.path.join(senders, name)] = x509.load_pem_x509_certificate(file.read())
        try:
            signer = verify(octets, certificates.values())
            path = next(path for path, certificate in certificates.items() if certificate == signer)
            xmlsec_verify(octets, path)
            verified += 1
            plain = []
            # Elements of installations that are refused need not open.
            for data in parse(octets).getroot().iter(f"{{{XENC}}}EncryptedData"):
                try:
                    plain.append(base64.b64encode(open_data(data, keys)).decode())
                except Exception:
                    plain.append(None)
            for message in outcome["messages"]:
                for item in message.get("items", []):
                    assert item["content"] in plain, f"{item['device_id']} does not open to its content"
                    opened += 1
        except Exception as error:
            raise SystemExit(f"{case['location']}/{case['file']}: {type(error).__name__}: {error}") from error
    print(f"{len(expected['cases'])} cases; {verified} signatures verified here and by xmlsec1; {opened} elements opened")


def xmlsec_verify(octets, certificate):
    """Debian's xmlsec1 must agree. It looks keys up by KeyInfo first, so it is told to take the given certificate's key alone."""
    # Its ecdsa reads r||s as it should; X509Data naming a certificate that it does not know is not to be looked up.
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        file.write(octets)
        file.flush()
        command = ["xmlsec1", "--verify", "--enabled-key-data", "key-name", "--pubkey-cert-pem", certificate, file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"xmlsec1: {done.stderr}"


def main(arguments):
    if len(arguments) in (5, 6) and arguments[0] == "big":
        _, folder, algorithm, *numbers = arguments
        big.build(algorithm, *map(int, numbers)).write(folder)
        return
    if len(arguments) == 5 and arguments[0] == "latency":
        big.latency(*map(int, arguments[2:])).write(arguments[1])
        return
    if len(arguments) == 6 and arguments[0] == "senders":
        big.senders(*map(int, arguments[2:])).write(arguments[1])
        return
    if len(arguments) != 2 or arguments[0] not in ("shapes", "refusals", "sealed", "life", "check"):
        raise SystemExit(__doc__)
    what, folder = arguments
    if what == "check":
        check(folder)
    elif what == "life":
        life.build(folder)
    else:
        {"shapes": shapes.build, "refusals": refusals.build, "sealed": refusals.build_sealed}[what]().write(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
