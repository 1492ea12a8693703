"""Keys and certificates of a test world: authorities, senders, register, consumers. None protects anything."""

import base64
import datetime
import hashlib
import json
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}


def new_key(algorithm):
    """A private key of an algorithm of the register: P-256, P-384, RSA-2048, RSA-3072, RSA-4096."""
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    return rsa.generate_private_key(65537, int(algorithm.removeprefix("RSA-")))


def bit_string(public):
    """The value of subjectPublicKey without tag, length and unused bits."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def key_identifier(public, method):
    """RFC 5280 4.2.1.2: method 1 gives 20 octets, method 2 gives 8."""
    digest = hashlib.sha1(bit_string(public)).digest()
    return digest if method == 1 else bytes([0x40 | digest[12] & 0x0F]) + digest[13:]


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def name(*pairs):
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


class Authority:
    """A certificate authority with its certificate, and a CRL where asked."""

    def __init__(self, subject, begin, end):
        self.subject, self.begin, self.end = subject, begin, end
        self.key = new_key("P-256")
        self.revoked = []
        ski = x509.SubjectKeyIdentifier(key_identifier(self.key.public_key(), 2))
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        self.certificate = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.BasicConstraints(True, 0), True).add_extension(usage, True).add_extension(ski, False)
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, key, common_name, eui, begin=None, end=None, digital_signature=True, ski_method=2):
        """A signing certificate of a sender, as in SMKI: the EUI-64 in x500UniqueIdentifier."""
        unique = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00" + bytes.fromhex(eui.replace("-", "")), x509.name._ASN1Type.BitString)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "05"), unique])
        usage = x509.KeyUsage(digital_signature, False, False, False, not digital_signature, False, False, False, False)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(begin or self.begin).not_valid_after(end or self.end)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier(key_identifier(key.public_key(), ski_method)), False)
            .add_extension(x509.AuthorityKeyIdentifier(key_identifier(self.key.public_key(), 2), None, None), False)
            .sign(self.key, hashes.SHA256())
        )

    def revoke(self, certificate, when):
        self.revoked.append(x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(when).build())

    def crl(self, this_update, next_update):
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.subject).last_update(this_update).next_update(next_update)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(key_identifier(self.key.public_key(), 2), None, None), False)
        builder = builder.add_extension(x509.CRLNumber(1), False)
        for entry in self.revoked:
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256())


class Signer:
    """A sender's signing key and certificate."""

    def __init__(self, key, certificate):
        self.key, self.certificate = key, certificate

    @property
    def ski(self):
        return self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    @property
    def der(self):
        return self.certificate.public_bytes(serialization.Encoding.DER)


class RegisterKey:
    """One decryption key and its register entry."""

    def __init__(self, role, algorithm, method=2, **entry):
        self.key = new_key(algorithm)
        self.algorithm, self.role = algorithm, role
        self.identifier = key_identifier(self.key.public_key(), method)
        element = "EncryptedMasterKey" if role == "DCO" else "EncryptedS1SPGroupInformation"
        self.entry = {
            "key_identifier": self.hex, "role": role, "algorithm": algorithm, "first_day": None, "last_day": None,
            "groups": ["AA", "BA", "CA", "CB"], "smsos": [], "elements": [element], "device_types": [], "state": "active",
        }
        self.entry.update(entry)

    @property
    def hex(self):
        return self.identifier.hex().upper()

    @property
    def rsa(self):
        return self.algorithm.startswith("RSA")

    def write(self, folder, with_private=True):
        lines = [f"{key} = {value.isoformat() if isinstance(value, datetime.date) else json.dumps(value)}" for key, value in self.entry.items()]
        if with_private:
            lines.append(f'private_key = "{self.hex}.key.pem"')
            write(os.path.join(folder, f"{self.hex}.key.pem"), pem(self.key), 0o600)
        write(os.path.join(folder, f"{self.hex}.toml"), ("\n".join(lines) + "\n").encode())


def consumer(queue):
    """A queue's consumer key as private and public P-256 JWK."""
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.private_numbers()
    b64 = lambda value: base64.urlsafe_b64encode(value.to_bytes(32, "big")).rstrip(b"=").decode()
    public = {
        "alg": "ECDH-ES+A256KW", "crv": "P-256", "kid": f"{queue}-test", "kty": "EC", "use": "enc",
        "x": b64(numbers.public_numbers.x), "y": b64(numbers.public_numbers.y),
    }
    return {**public, "d": b64(numbers.private_value)}, public


def write(path, octets, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(octets)
    os.chmod(path, mode)
