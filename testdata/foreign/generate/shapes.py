"""The good set: one document for each shape that the profile allows. Its dates do not age; it is committed as ../shapes."""

import datetime
import os
import re

from world import ALL_ALGORITHMS, Common, World
from xmlsecurity import DS, M, XENC, XENC11, Encryption, b64, issuer_serial, issuer_text, x509_certificate, x509_ski

SHA1, SHA256 = DS + "sha1", XENC + "sha256"
MGF1_SHA1, MGF1_SHA256 = XENC11 + "mgf1sha1", XENC11 + "mgf1sha256"
ZEROS = {"AlgorithmID": "00", "PartyUInfo": "00", "PartyVInfo": "00"}


def wrapped_base64(octets, every=64, end="\n"):
    text = b64(octets)
    return end.join(text[at:at + every] for at in range(0, len(text), every)) + end


def build():
    utc = datetime.timezone.utc
    world = World(
        datetime.datetime(2026, 1, 1, tzinfo=utc), datetime.datetime(2046, 12, 31, 23, 59, 59, tzinfo=utc), "2026-11-02T09:00:00Z",
        datetime.date(2026, 1, 1), datetime.date(2046, 12, 31),
    )
    cgi = world.location("cgi-live", "migration", "70-B3-D5-1F-30-00-A0-08", "CGI")
    mds = world.location("mds-live", "migration", "90-B3-D5-1F-30-00-0B-01", "MDS", signature_algorithms=ALL_ALGORITHMS)
    early = world.location("supplier-early", "early-validation", "90-B3-D5-1F-30-00-00-02", notified=datetime.date(2026, 1, 1))
    world.signer(cgi, "second", world.ca2)
    world.signer(cgi, "method-1", ski_method=1)
    world.signer(cgi, "unregistered", registered=False)
    world.signer(mds, "p384", algorithm="P-384")
    world.signer(mds, "rsa-2048", algorithm="RSA-2048")
    world.signer(mds, "rsa-3072", algorithm="RSA-3072", authority=world.ca2)
    world.key("dco", "DCO")
    world.key("s1sp", "S1SP")
    world.key("dco-p384", "DCO", "P-384")
    world.key("s1sp-p384", "S1SP", "P-384", method=1)
    world.key("dco-method-1", "DCO", "P-256", method=1)
    world.key("dco-rsa-2048", "DCO", "RSA-2048", method=1)
    world.key("dco-rsa-3072", "DCO", "RSA-3072", method=2)
    world.key("dco-rsa-4096", "DCO", "RSA-4096", method=1)
    world.key("s1sp-rsa-2048", "S1SP", "RSA-2048", method=1)
    encryption(world, cgi)
    sharing(world, cgi)
    text(world, cgi)
    signatures(world, cgi, mds)
    profile(world, cgi, early)
    return world


def encryption(world, cgi):
    for content in ("aes128-gcm", "aes256-gcm"):
        for wrap in ("kw-aes128", "kw-aes256"):
            for curve in ("", "-p384"):
                knobs = {"content": content, "wrap": wrap}
                entry = world.installation(cgi, "CB").device("ESME", f"dco{curve}", **knobs).device("GSME", f"dco{curve}", **knobs).device("PPMID", None)
                entry.s1sp(f"s1sp{curve}", **knobs)
                world.good(f"ecdh-{curve[1:] or 'p256'}-{wrap}-{content}", cgi, [entry], "interface 2.5, ECDH-ES", "CB")
    suppositions = {
        "absent": {}, "empty": dict.fromkeys(ZEROS, ""), "zero-octet": ZEROS,
        "values": {"AlgorithmID": "000102030405", "PartyUInfo": "00" + b"sender".hex(), "PartyVInfo": "00" + b"postern".hex().upper()},
        "supp-infos": {**ZEROS, "SuppPubInfo": "0000000100", "SuppPrivInfo": "00DEADBEEF"},
        "mixed": {"AlgorithmID": "", "PartyVInfo": "00ff", "SuppPubInfo": ""},
    }
    for label, kdf in suppositions.items():
        world.good(f"concatkdf-{label}", cgi, [world.installation(cgi).device(kdf=kdf)], "interface 2.5, ConcatKDF parameters")
    oaep = {
        "mgf1p-bare": ("mgf1p", None, None), "mgf1p-sha1": ("mgf1p", SHA1, None), "oaep11-sha256": ("oaep", SHA256, MGF1_SHA256),
        "oaep11-sha1-default": ("oaep", None, None), "oaep11-sha1-digest": ("oaep", SHA1, None), "oaep11-sha1-mgf": ("oaep", None, MGF1_SHA1),
        "oaep11-sha1-both": ("oaep", SHA1, MGF1_SHA1),
    }
    for label, form in oaep.items():
        entry = world.installation(cgi, "CB").device("ESME", "dco-rsa-2048", oaep=form).device("GSME", "dco-rsa-3072", oaep=form, content="aes128-gcm")
        world.good(f"rsa-{label}", cgi, [entry.s1sp("s1sp-rsa-2048", oaep=form)], "interface 2.5, RSA-OAEP", "CB")
    world.good("rsa-4096", cgi, [world.installation(cgi).device(key="dco-rsa-4096", oaep=oaep["oaep11-sha256"])], "interface 2.5, RSA-OAEP")
    world.good("x509ski-20-octets-ec", cgi, [world.installation(cgi).device(key="dco-method-1")], "interface 2.5, X509SKI by method 1")


def sharing(world, cgi):
    """One EncryptedKey for several elements, standing in the first or the last of them."""
    for label, key, bearer in (("ecdh-first", "dco", 0), ("ecdh-last", "dco", 2), ("rsa-first", "dco-rsa-2048", 0), ("ecdh-middle", "dco-p384", 1)):
        cek = os.urandom(32)
        entries = [world.installation(cgi), world.installation(cgi)]
        for index in range(3):
            here = Encryption(cek=cek, key_id="shared-1" if index == bearer else "")
            owner = entries[index // 2]
            device = world.next_device()
            plain = owner.master_key(device)
            element = here.encrypted_data(plain.encode(), world.register[key], None if index == bearer else "#shared-1")
            owner.device("ESME" if index % 2 == 0 else "GSME", key, device, plain=plain, element=element)
        world.good(f"retrieval-method-{label}", cgi, entries, "interface 2.5, RetrievalMethod")


def text(world, cgi):
    """The same document written in the ways that XML leaves open."""
    one = lambda **options: [world.installation(cgi).device(**options)]
    for label, end in (("lf", "\n"), ("char-ref-13", "&#13;\n"), ("tabs", "\t"), ("char-refs", "&#x20;&#9;&#xA;")):
        spread = lambda octets, end=end: " " + wrapped_base64(octets, 64 if end == "\n" else 76, end)
        world.good(f"base64-{label}", cgi, one(encode=spread), "interface 2, base64 with white space", written=lambda octets, end=end: wrapped_base64(octets, 20, end))
    world.good("byte-order-mark", cgi, one(), "interface 2", head="\ufeff" + '<?xml version="1.0" encoding="UTF-8"?>\n')
    world.good("no-declaration", cgi, one(), "interface 2", head="")
    world.good("declaration-standalone", cgi, one(), "interface 2", head="<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\n")
    commented = lambda text: re.sub(r"(<m:(?:Header|Counter|Installation|Device)>|<ds:KeyInfo>|<xenc:CipherData>)", r"<!-- a < b & c -->\1<!---->", text)
    uncommented = lambda text: re.sub(r"(<m:Counter>)<!---->", r"\1", commented(text))
    world.good("comments-between-elements", cgi, one(), "interface 2", edit=uncommented)
    world.good("comments-outside-root", cgi, one(), "interface 2", edit=lambda text: text.replace("<m:Migration", "<!-- before -->\n<m:Migration", 1) + "<!-- after -->\n")
    world.good("comments-in-signature", cgi, one(), "interface 2", signed_info=lambda text: text.replace("<ds:Reference", "<!-- c --><ds:Reference"))
    crlf = lambda text: text.replace("\n", "\r\n")
    world.good("crlf", cgi, one(), "XML 1.0, 2.11", edit=crlf)
    world.good("single-quotes-and-spaces", cgi, one(), "XML 1.0, 3.1", edit=lambda text: re.sub(r'([A-Za-z]+)="([^"<>]*)"(/?)>', r"\1 = '\2' \3>", text).replace("</m:Device>", "</m:Device >"))
    world.good("character-references", cgi, one(), "XML 1.0, 4.1", edit=lambda text: text.replace("<m:SMSO>CGI<", "<m:SMSO>&#67;G&#x49;<"))

    def unprefixed(text):
        text = re.sub(r"\sxmlns:[a-z0-9]+=\"[^\"]*\"", "", text)
        opened = lambda prefix, uri, roots: [(f"<{prefix}:{name}", f'<{name} xmlns="{uri}"') for name in roots]
        swaps = opened("m", M, ["MigrationGroupEncryptedFile"]) + opened("xenc", XENC, ["EncryptedData", "EncryptedKey", "AgreementMethod", "OriginatorKeyInfo", "RecipientKeyInfo"])
        swaps += opened("xenc11", XENC11, ["KeyDerivationMethod"]) + opened("ds", DS, ["KeyInfo", "KeyValue", "X509Data", "DigestMethod"])
        swaps += opened("dsig11", "http://www.w3.org/2009/xmldsig11#", ["ECKeyValue"])
        for before, after in swaps:
            text = text.replace(before + ">", after + ">").replace(before + " ", after + " ")
        # CipherData stands beside ds:KeyInfo and needs nothing: the default is EncryptedData's again.
        return re.sub(r"<(/?)(?:m|xenc|xenc11|ds|dsig11):", r"<\1", text)

    for exclusive in (False, True):
        world.good(f"default-namespaces-{'exclusive' if exclusive else 'inclusive'}", cgi, one(), "Namespaces in XML 1.0", edit=unprefixed, exclusive=exclusive)
    unused = " ".join(f'xmlns:u{index}="urn:unused:{index}"' for index in range(50))
    for exclusive in (False, True):
        world.good(f"unused-namespaces-{'exclusive' if exclusive else 'inclusive'}", cgi, one(), "interface 2, limits",
                   edit=lambda text: text.replace(' SchemaVersion="1.0"', f' {unused} SchemaVersion="1.0"', 1), exclusive=exclusive)
    redeclared = lambda text: text.replace("<m:Device>", f'<m:Device xmlns:m="{M}" xmlns:x="urn:x">').replace("<m:DeviceType>", f'<n:DeviceType xmlns:n="{M}">').replace("</m:DeviceType>", "</n:DeviceType>")
    for exclusive in (False, True):
        world.good(f"redeclared-prefixes-{'exclusive' if exclusive else 'inclusive'}", cgi, one(), "Namespaces in XML 1.0", edit=redeclared, exclusive=exclusive)


def signatures(world, cgi, mds):
    first, second, method1 = (cgi.signers[label] for label in ("first", "second", "method-1"))
    data = lambda *names: f"<ds:X509Data>{''.join(names)}</ds:X509Data>"
    one = lambda location=cgi: [world.installation(location).device()]
    for label, signer in (("plain", first), ("escaped", second)):
        register = label == "escaped"
        here = dict(signer="second" if register else "first")
        forms = {
            "rfc4514": issuer_serial(signer), "reversed": issuer_serial(signer, forward=True), "spaces": issuer_serial(signer, separator=" , "),
            "newline": issuer_serial(signer, separator=",\n      "),
        }
        for form, names in forms.items():
            world.good(f"issuer-{label}-{form}", cgi, one(), "interface 2.4, X509IssuerSerial; RFC 4514", key_info=data(names), **here)
    hexed = re.sub(r"\\([,+\"\\<>;= #])", lambda found: f"\\{ord(found.group(1)):02x}", issuer_text(second.certificate).replace("&lt;", "<").replace("&gt;", ">"))
    hexed = hexed.replace("\u00eb", "\\C3\\AB").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    world.good("issuer-escaped-hex-pairs", cgi, one(), "RFC 4514, 2.4", key_info=data(issuer_serial(second, hexed)), signer="second")
    world.good("issuer-lower-case-keywords", cgi, one(), "RFC 4514, 3", key_info=data(issuer_serial(first, issuer_text(first.certificate).replace("CN=", "cn=").replace("OU=", "ou="))))
    ber = lambda attribute: f"{attribute.oid.dotted_string}=#0c{len(attribute.value):02x}{attribute.value.encode().hex()}"
    oids = ",".join(ber(attribute) for attribute in reversed(list(first.certificate.issuer)))
    world.good("issuer-dotted-oids", cgi, one(), "RFC 4514, 2.4: the value of a dotted type is # and its BER", key_info=data(issuer_serial(first, oids)))
    world.good("signer-ski-method-2", cgi, one(), "interface 2.4, X509SKI", key_info=data(x509_ski(first)))
    world.good("signer-ski-method-1", cgi, one(), "interface 2.4, X509SKI", key_info=data(x509_ski(method1)), signer="method-1")
    world.good("signer-issuer-and-ski", cgi, one(), "interface 2.4", key_info=data(issuer_serial(first), x509_ski(first)), exclusive=True)
    world.good("signer-embedded-certificate", cgi, one(), "interface 2.4, X509Certificate", key_info=data(x509_certificate(first)))
    world.good("signer-all-three", cgi, one(), "interface 2.4", key_info=data(issuer_serial(first), x509_ski(first), x509_certificate(first)))
    world.good("signer-other-certificate-ignored", cgi, one(), "interface 2.4", key_info=data(issuer_serial(first), x509_certificate(cgi.signers["unregistered"])))
    for exclusive in (False, True):
        form = "exclusive" if exclusive else "inclusive"
        for signer, algorithm in (("first", "ecdsa-sha256"), ("p384", "ecdsa-sha384"), ("rsa-2048", "rsa-sha256"), ("rsa-3072", "rsa-sha256")):
            world.good(f"signed-{signer.replace('first', 'p256')}-{algorithm}-{form}", mds, one(mds), "interface 2.4", signer=signer, algorithm=algorithm, exclusive=exclusive)


def profile(world, cgi, early):
    one = lambda **options: [world.installation(cgi).device(**options)]
    for octets in (16, 24):
        world.good(f"master-key-{octets}-octets", cgi, one(octets=octets), "interface 2.2")
    world.good("device-id-lower-case", cgi, one(identity="90-b3-d5-1f-30-03-00-0a"), "interface 1")
    world.good("sender-lower-case", cgi, one(), "interface 1", fields={"Sender": cgi.sender.lower()})
    world.good("smso-lower-case", cgi, one(), "interface 2.1", fields={"SMSO": "cgi"})
    world.good("plaintext-names-smso", cgi, one(edit=lambda text: text.replace(" GroupID", ' SMSO="CGI" GroupID', 1)), "interface 2.2")
    world.good("plaintext-white-space-around", cgi, one(edit=lambda text: f"\n  {text}\r\n"), "interface 3, PAYLOAD_INVALID")
    world.good("plaintext-other-prefix", cgi, one(edit=lambda text: text.replace("m:", "").replace("xmlns:m=", "xmlns=")), "interface 2.2")
    world.good("plaintext-base64-wrapped", cgi, one(edit=lambda text: re.sub(r"<m:KeyValue>(.{20})", r"<m:KeyValue>&#13;\n  \1\n", text)), "interface 2, base64")
    ipv6 = lambda text: re.sub(r"<m:StaticIP>[^<]*", "<m:StaticIP>2001:db8::1:0", text)
    world.good("static-ip-version-6", cgi, [world.installation(cgi, "CB").device().s1sp(edit=ipv6)], "interface 2.2", "CB")
    world.good("s1sp-without-imsi-where-optional", cgi, [world.installation(cgi, "BA").s1sp(edit=lambda text: re.sub("<m:(IMSI|StaticIP)>[^<]*</m:(IMSI|StaticIP)>", "", text))], "interface 2.2", "BA")
    world.good("device-without-key-not-required", cgi, [world.installation(cgi).device().device("PPMID", None).device("CHF", None)], "interface 2.2")
    world.good("key-not-required-yet-there", cgi, [world.installation(cgi).device().device("IHD")], "interface 2.2")
    supplier = early.sender
    mcf = dict(root="MigrationCommonFile")
    world.good("mcf-active", cgi, [Common(world, supplier), Common(world, supplier, MPAN=None), Common(world, supplier, MPRN=None)], "interface 2.3", **mcf)
    world.good("mcf-dormant-and-mixed", cgi, [Common(world, supplier, MeterStatus=status, DCCRequestReference="DCC-REQ/1") for status in ("Dormant", "Mixed")], "interface 2.3", **mcf)
    world.good("mcf-early-validation", early, [Common(world, supplier)], "interface 3; TMAD 4.2", **mcf)
