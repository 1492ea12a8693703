"""XML Encryption and XML Signature by lxml and pyca/cryptography: the makers, and an opener and a verifier of their own to check them by."""

import base64
import hashlib
import io
import os
import types

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

M = "urn:postern:smets1-migration:1"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
DS = "http://www.w3.org/2000/09/xmldsig#"
DSIG11 = "http://www.w3.org/2009/xmldsig11#"
NS = {"m": M, "xenc": XENC, "xenc11": XENC11, "ds": DS, "dsig11": DSIG11}
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
OID = {"P-256": "urn:oid:1.2.840.10045.3.1.7", "P-384": "urn:oid:1.3.132.0.34"}
CURVE = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}
SIGNATURE_METHOD = {
    "ecdsa-sha256": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "ecdsa-sha384": "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "rsa-sha256": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
}
OTHER_INFO = ("AlgorithmID", "PartyUInfo", "PartyVInfo", "SuppPubInfo", "SuppPrivInfo")


def b64(octets):
    return base64.b64encode(octets).decode()


def parse(octets):
    return etree.parse(io.BytesIO(octets), etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))


def c14n(node, exclusive):
    out = io.BytesIO()
    if isinstance(node, etree._ElementTree):
        node.write_c14n(out, exclusive=exclusive, with_comments=False)
        return out.getvalue()
    return etree.tostring(node, method="c14n", exclusive=exclusive, with_comments=False)


def digested(tree, exclusive, hasher):
    """The digest of a document's canonical form, which may be too long to be held beside the document."""
    tree.write_c14n(types.SimpleNamespace(write=hasher.update), exclusive=exclusive, with_comments=False)
    return hasher.digest()


def concat_kdf(secret, parameters, length, digest=hashlib.sha256):
    """XML Encryption 1.1, 5.4.1: each value's first octet counts the bits to leave out at its end; here always 0."""
    other = b"".join(bit_string(parameters.get(key) or "") for key in OTHER_INFO)
    out, counter = b"", 1
    while len(out) < length:
        out += digest(counter.to_bytes(4, "big") + secret + other).digest()
        counter += 1
    return out[:length]


def bit_string(value):
    """The octets of a hexBinary value without its first, which counts pad bits; nothing where the value is no hexBinary (a bad case)."""
    try:
        return bytes.fromhex(value)[1:]
    except ValueError:
        return b""


class Encryption:
    """How one element is encrypted; the defaults are a plain good one, and each knob turns one thing."""

    def __init__(self, **knobs):
        self.content = "aes256-gcm"
        self.wrap = "kw-aes256"
        self.kdf = {"AlgorithmID": "00", "PartyUInfo": "00", "PartyVInfo": "00"}
        self.oaep = ("mgf1p", None, None)  # (mgf1p or oaep, DigestMethod, MGF): None leaves the element out
        self.oaep_hashes = None  # the digest and MGF1 hashes really used, where not those that are written
        self.cek = None
        self.iv = None
        self.point = None  # the ephemeral point's octets as written
        self.curve_uri = None
        self.ski = None
        self.tamper_content = lambda octets: octets
        self.tamper_wrapped = lambda octets: octets
        self.encode = b64
        self.mutate = None  # an edit of the EncryptedData's text
        self.key_id = ""  # Id of the EncryptedKey
        for key, value in knobs.items():
            assert hasattr(self, key), key
            setattr(self, key, value)

    def content_key(self):
        if self.cek is None:
            self.cek = os.urandom(16 if "128" in self.content else 32)
        return self.cek

    def encrypted_key(self, register_key):
        """The text of an EncryptedKey."""
        cek = self.content_key()
        ski = f"<ds:X509Data><ds:X509SKI>{b64(self.ski if self.ski is not None else register_key.identifier)}</ds:X509SKI></ds:X509Data>"
        if register_key.rsa:
            kind, digest, mgf = self.oaep
            by_uri = {None: hashes.SHA1, DS + "sha1": hashes.SHA1, XENC + "sha256": hashes.SHA256, XENC11 + "mgf1sha1": hashes.SHA1, XENC11 + "mgf1sha256": hashes.SHA256}
            outer, inner = self.oaep_hashes or (by_uri.get(digest, hashes.SHA256), by_uri.get(mgf, hashes.SHA256))
            wrapped = register_key.key.public_key().encrypt(cek, padding.OAEP(padding.MGF1(inner()), outer(), None))
            inside = (f'<ds:DigestMethod Algorithm="{digest}"/>' if digest else "") + (f'<xenc11:MGF Algorithm="{mgf}"/>' if mgf else "")
            uri = XENC + "rsa-oaep-mgf1p" if kind == "mgf1p" else XENC11 + "rsa-oaep"
            method = f'<xenc:EncryptionMethod Algorithm="{uri}">{inside}</xenc:EncryptionMethod>'
            info = ski
        else:
            ephemeral = ec.generate_private_key(CURVE[register_key.algorithm]())
            secret = ephemeral.exchange(ec.ECDH(), register_key.key.public_key())
            kek = concat_kdf(secret, self.kdf, 16 if "128" in self.wrap else 32)
            wrapped = keywrap.aes_key_wrap(kek, cek) if len(cek) % 8 == 0 and len(cek) >= 16 else os.urandom(len(cek) + 8)
            point = self.point or ephemeral.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            attributes = "".join(f' {key}="{value}"' for key, value in self.kdf.items())
            method = f'<xenc:EncryptionMethod Algorithm="{XENC}{self.wrap}"/>'
            info = (
                f'<xenc:AgreementMethod Algorithm="{XENC11}ECDH-ES"><xenc11:KeyDerivationMethod Algorithm="{XENC11}ConcatKDF">'
                f'<xenc11:ConcatKDFParams{attributes}><ds:DigestMethod Algorithm="{XENC}sha256"/></xenc11:ConcatKDFParams></xenc11:KeyDerivationMethod>'
                f'<xenc:OriginatorKeyInfo><ds:KeyValue><dsig11:ECKeyValue><dsig11:NamedCurve URI="{self.curve_uri or OID[register_key.algorithm]}"/>'
                f"<dsig11:PublicKey>{self.encode(point)}</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue></xenc:OriginatorKeyInfo>"
                f"<xenc:RecipientKeyInfo>{ski}</xenc:RecipientKeyInfo></xenc:AgreementMethod>"
            )
        identity = f' Id="{self.key_id}"' if self.key_id else ""
        return (
            f"<xenc:EncryptedKey{identity}>{method}<ds:KeyInfo>{info}</ds:KeyInfo><xenc:CipherData><xenc:CipherValue>"
            f"{self.encode(self.tamper_wrapped(wrapped))}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>"
        )

    def encrypted_data(self, plain, register_key=None, retrieval=None):
        """The text of an EncryptedData over `plain`, its key inside or, with `retrieval`, elsewhere."""
        cek = self.content_key()
        iv = os.urandom(12) if self.iv is None else self.iv
        usable = cek if len(cek) in (16, 24, 32) else os.urandom(32)
        sealed = iv + AESGCM(usable).encrypt(iv if len(iv) >= 8 else os.urandom(12), plain, None)
        if retrieval is not None:
            info = f'<ds:RetrievalMethod Type="{XENC}EncryptedKey" URI="{retrieval}"/>'
        else:
            info = self.encrypted_key(register_key)
        text = (
            f'<xenc:EncryptedData Type="{XENC}Element"><xenc:EncryptionMethod Algorithm="{XENC11}{self.content}"/><ds:KeyInfo>{info}</ds:KeyInfo>'
            f"<xenc:CipherData><xenc:CipherValue>{self.encode(self.tamper_content(sealed))}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
        )
        if self.mutate:
            before, text = text, self.mutate(text)
            assert text != before, "the edit changes nothing"
        return text


def hmac_or(algorithm):
    return SIGNATURE_METHOD.get(algorithm, algorithm)


def issuer_text(certificate, forward=False, separator=","):
    """The issuer by RFC 4514 (last RDN first), or in the certificate's own order."""
    rdns = list(certificate.issuer.rdns)
    texts = [rdn.rfc4514_string() for rdn in (rdns if forward else reversed(rdns))]
    return separator.join(texts).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def issuer_serial(signer, issuer=None, **options):
    issuer = issuer if issuer is not None else issuer_text(signer.certificate, **options)
    return (
        f"<ds:X509IssuerSerial><ds:X509IssuerName>{issuer}</ds:X509IssuerName>"
        f"<ds:X509SerialNumber>{signer.certificate.serial_number}</ds:X509SerialNumber></ds:X509IssuerSerial>"
    )


def x509_ski(signer):
    return f"<ds:X509SKI>{b64(signer.ski)}</ds:X509SKI>"


def x509_certificate(signer):
    return f"<ds:X509Certificate>{b64(signer.der)}</ds:X509Certificate>"


def raw_signature(key, algorithm, octets):
    digest = hashes.SHA384() if algorithm.endswith("384") else hashes.SHA256()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), digest)
    r, s = utils.decode_dss_signature(key.sign(octets, ec.ECDSA(digest)))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def sign(text, signer, algorithm="ecdsa-sha256", exclusive=False, key_info=None, transforms=None, uri="", digest_method=XENC + "sha256",
         signed_info=None, signature=None, value=lambda octets: octets, written=b64, place="@@SIGNATURE@@"):
    """Signs a document whose text holds @@SIGNATURE@@ once; every other argument turns one thing. Returns octets."""
    digest = hashlib.sha1 if digest_method == DS + "sha1" else hashlib.sha256
    covered = digested(parse(text.replace(place, "").encode("utf-8")), exclusive, digest())
    if transforms is None:
        transforms = [ENVELOPED] + ([EXCLUSIVE] if exclusive else [])
    listed = "".join(entry if entry.startswith("<") else f'<ds:Transform Algorithm="{entry}"/>' for entry in transforms)
    info = (
        f'<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/><ds:SignatureMethod Algorithm="{hmac_or(algorithm)}"/>'
        f'<ds:Reference URI="{uri}"><ds:Transforms>{listed}</ds:Transforms><ds:DigestMethod Algorithm="{digest_method}"/>'
        f"<ds:DigestValue>{written(covered)}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
    )
    if signed_info:
        before, info = info, signed_info(info)
        assert info != before, "the edit changes nothing"
    if key_info is None:
        key_info = f"<ds:X509Data>{issuer_serial(signer)}</ds:X509Data>"
    block = f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>@@VALUE@@</ds:SignatureValue><ds:KeyInfo>{key_info}</ds:KeyInfo></ds:Signature>'
    whole = text.replace(place, block)
    node = parse(whole.encode("utf-8")).getroot().findall(".//ds:Signature/ds:SignedInfo", NS)[-1]
    octets = value(raw_signature(signer.key, algorithm, c14n(node, True)))
    whole = block.replace("@@VALUE@@", written(octets))
    if signature:
        before, whole = whole, signature(whole)
        assert whole != before, "the edit changes nothing"
    return text.replace(place, whole).encode("utf-8")


# What follows reads documents again, for the self-check: it shares nothing with the makers above but the names.

def verify(octets, certificates):
    """Checks a good document's signature; returns the certificate it holds under, else raises."""
    tree = parse(octets)
    signature = tree.getroot()[-1]
    assert signature.tag == f"{{{DS}}}Signature"
    info = signature.find("ds:SignedInfo", NS)
    signed = c14n(info, True)
    value = base64.b64decode("".join(signature.findtext("ds:SignatureValue", namespaces=NS).split()), validate=True)
    method = info.find("ds:SignatureMethod", NS).get("Algorithm")
    transforms = [entry.get("Algorithm") for entry in info.findall("ds:Reference/ds:Transforms/ds:Transform", NS)]
    assert transforms in ([ENVELOPED], [ENVELOPED, EXCLUSIVE]), transforms
    expected = base64.b64decode("".join(info.findtext("ds:Reference/ds:DigestValue", namespaces=NS).split()), validate=True)
    rest, previous = signature.tail or "", signature.getprevious()
    previous.tail = (previous.tail or "") + rest
    signature.tail = None
    tree.getroot().remove(signature)
    assert hashlib.sha256(c14n(tree, len(transforms) == 2)).digest() == expected, "digest"
    for certificate in certificates:
        key = certificate.public_key()
        digest = hashes.SHA384() if method.endswith("384") else hashes.SHA256()
        try:
            if isinstance(key, rsa.RSAPublicKey) and "rsa-" in method:
                key.verify(value, signed, padding.PKCS1v15(), digest)
            elif isinstance(key, ec.EllipticCurvePublicKey) and "ecdsa-" in method:
                half = len(value) // 2
                assert half == (key.curve.key_size + 7) // 8
                key.verify(utils.encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")), signed, ec.ECDSA(digest))
            else:
                continue
            return certificate
        except Exception:
            continue
    raise AssertionError("no certificate fits")


def open_data(data, keys):
    """The plaintext of an EncryptedData element; `keys` maps a Key Identifier to a private key."""
    root = data.getroottree().getroot()
    encrypted_key = data.find("ds:KeyInfo/xenc:EncryptedKey", NS)
    if encrypted_key is None:
        wanted = data.find("ds:KeyInfo/ds:RetrievalMethod", NS).get("URI").removeprefix("#")
        (encrypted_key,) = [node for node in root.iter(f"{{{XENC}}}EncryptedKey") if node.get("Id") == wanted]
    value = lambda node: base64.b64decode("".join(node.findtext("xenc:CipherData/xenc:CipherValue", namespaces=NS).split()), validate=True)
    ski = base64.b64decode("".join(encrypted_key.findtext("ds:KeyInfo//ds:X509SKI", namespaces=NS).split()))
    key = keys[ski]
    method = encrypted_key.find("xenc:EncryptionMethod", NS)
    if isinstance(key, rsa.RSAPrivateKey):
        digest = method.find("ds:DigestMethod", NS)
        mgf = method.find("xenc11:MGF", NS)
        outer = hashes.SHA256() if digest is not None and digest.get("Algorithm").endswith("sha256") else hashes.SHA1()
        inner = hashes.SHA256() if mgf is not None and mgf.get("Algorithm").endswith("sha256") else hashes.SHA1()
        cek = key.decrypt(value(encrypted_key), padding.OAEP(padding.MGF1(inner), outer, None))
    else:
        agreement = encrypted_key.find("ds:KeyInfo/xenc:AgreementMethod", NS)
        point = base64.b64decode("".join(agreement.findtext(".//dsig11:PublicKey", namespaces=NS).split()))
        secret = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point))
        parameters = dict(agreement.find(".//xenc11:ConcatKDFParams", NS).attrib)
        kek = concat_kdf(secret, parameters, 16 if method.get("Algorithm").endswith("128") else 32)
        cek = keywrap.aes_key_unwrap(kek, value(encrypted_key))
    sealed = value(data)
    return AESGCM(cek).decrypt(sealed[:12], sealed[12:], None)
