"""The bad set: one file for each rule, with the code that must come out. Dates are relative to now, so it is made anew each time."""

import copy
import datetime
import os
import re
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives import hashes

from world import ALL_ALGORITHMS, DAY, Common, World, changed
from xmlsecurity import DS, EXCLUSIVE, ENVELOPED, M, NS, OID, XENC, XENC11, Encryption, b64, c14n, issuer_serial, parse, x509_certificate, x509_ski

MGEF, MCF = "MigrationGroupEncryptedFile", "MigrationCommonFile"
SHA1, SHA256, MGF1_SHA256 = DS + "sha1", XENC + "sha256", XENC11 + "mgf1sha256"


class Setting:
    """The world of the bad set and the short forms that its cases are written in."""

    def __init__(self, roles=("S1SP", "DCO")):
        # A set made just before midnight in London would be judged on another day: the tests make it again then.
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.now = now
        today = now.astimezone(ZoneInfo("Europe/London")).date()
        self.stamp = lambda delta: (now + delta).strftime("%Y-%m-%dT%H:%M:%SZ")
        world = self.world = World(now - 400 * DAY, now + 400 * DAY, self.stamp(datetime.timedelta()), today - 30 * DAY, today + 30 * DAY, roles, 16 << 20)
        world.crl_update = now - DAY
        self.cgi = world.location("cgi-live", "migration", "70-B3-D5-1F-30-00-A0-08", "CGI")
        self.mds = world.location("mds-live", "migration", "90-B3-D5-1F-30-00-0B-01", "MDS", signature_algorithms=ALL_ALGORITHMS)
        self.low = world.location("counters-live", "migration", "90-B3-D5-1F-30-00-0C-01", "CNT")
        self.gone = world.location("gone-live", "migration", "90-B3-D5-1F-30-00-0D-01", "GONE", decommissioned=today - DAY)
        self.early = world.location("supplier-early", "early-validation", "90-B3-D5-1F-30-00-00-02", notified=today)
        self.closed = world.location("closed-early", "early-validation", "90-B3-D5-1F-30-00-00-03")
        self.later = world.location("later-early", "early-validation", "90-B3-D5-1F-30-00-00-04", notified=today + DAY)
        ca1 = world.ca1
        world.signer(self.cgi, "second")
        world.signer(self.cgi, "expired", begin=now - 40 * DAY, end=now - DAY)
        world.signer(self.cgi, "not-yet", begin=now + DAY, end=now + 40 * DAY)
        revoked = world.signer(self.cgi, "revoked")
        ca1.revoke(revoked.certificate, now - 2 * DAY)
        world.signer(self.cgi, "stranger", world.ca3)
        world.signer(self.cgi, "may-not-sign", digital_signature=False)
        world.signer(self.cgi, "unregistered", registered=False)
        world.signer(self.mds, "p384", algorithm="P-384")
        world.signer(self.mds, "rsa", algorithm="RSA-2048")
        key = world.key
        key("dco", "DCO")
        key("s1sp", "S1SP")
        key("dco-p384", "DCO", "P-384")
        key("dco-rsa", "DCO", "RSA-2048", method=1)
        key("unlisted", "DCO", listed=False)
        key("expired", "DCO", last_day=today - DAY)
        key("last-day", "DCO", last_day=today)
        key("first-day", "DCO", first_day=today)
        key("not-yet", "DCO", first_day=today + DAY)
        key("revoked", "DCO", state="revoked")
        key("proposed", "DCO", state="proposed")
        key("group-aa", "DCO", groups=["AA"])
        key("no-group", "DCO", groups=[])
        key("smso-mds", "DCO", smsos=["MDS"])
        key("smso-cgi", "DCO", smsos=["cgi"])
        key("no-element", "DCO", elements=[])
        key("gsme-only", "DCO", device_types=["GSME"])
        self.today = today

    def one(self, location=None, **options):
        return [self.world.installation(location or self.cgi).device(**options)]

    def whole(self, case, codes, location=None, installations=None, after=None, clause=None, **options):
        """A file that is refused whole."""
        location = location or self.cgi
        octets = self.world.file(location, installations or self.one(location), **options)
        if after:
            octets = changed(after, octets)
        return self.world.add(case, location, octets, codes=[codes] if isinstance(codes, str) else codes, clause=clause, root=options.get("root", MGEF))

    def raw(self, case, codes, octets, location=None, **options):
        """A file that is refused whole and is given as it is."""
        return self.world.add(case, location or self.cgi, octets, codes=[codes] if isinstance(codes, str) else codes, **options)

    def part(self, case, codes, group="CA", clause=None, may=None, entry=None, **device):
        """A file of two installations of which the second is refused."""
        codes = [codes] if isinstance(codes, str) else codes
        bad = entry or self.world.installation(self.cgi, group).device(**device)
        return self.world.good(case, self.cgi, [self.world.installation(self.cgi).device(), bad.refuse(*codes, may=may)], clause, group)


def build():
    setting = Setting()
    names(setting)
    xml(setting)
    places(setting)
    signature(setting)
    signers(setting)
    encryption_algorithms(setting)
    encryption_structure(setting)
    schema(setting)
    header(setting)
    counters(setting)
    keys(setting)
    decryption(setting)
    payload(setting)
    installations(setting)
    common(setting)
    return setting.world


def good_octets(s):
    return s.world.file(s.cgi, s.one())


def names(s):
    octets = good_octets(s)
    s.raw("name-space", "FILE_NAME_INVALID", octets, name="001 with space.xml")
    s.raw("name-129", "FILE_NAME_INVALID", octets, name="0" * 125 + ".xml")
    s.raw("name-letters", "FILE_NAME_INVALID", octets, name="001-\u00e9.xml")
    s.raw("empty", "FILE_EMPTY", b"", content=False)
    s.raw("too-large", "FILE_TOO_LARGE", lambda path: sparse(path, s.world.max_file_bytes + 1), content=False)
    s.raw("link", "FILE_UNSAFE", lambda path: os.symlink("/etc/hostname", path), content=False)
    s.raw("hard-link", "FILE_UNSAFE", hard_link, content=False)
    s.raw("pipe", "FILE_UNSAFE", os.mkfifo, content=False)
    for name in ("a.xml.part", "b.xml.tmp", "c.xml.filepart", ".d.xml", ".part", "folder/e.xml"):
        s.world.left_alone.append(f"in/{s.cgi.name}/{name}")


def sparse(path, size):
    with open(path, "wb") as file:
        file.truncate(size)


def hard_link(path):
    elsewhere = os.path.join(os.path.dirname(path), "..", "..", "elsewhere.xml")
    with open(elsewhere, "wb") as file:
        file.write(b"<a/>")
    os.link(elsewhere, path)


def xml(s):
    swap = lambda before, after: lambda octets: octets.replace(before, after, 1)
    malformed = {
        "unclosed": lambda o: o.replace(b"</m:Header>", b""), "truncated-half": lambda o: o[:len(o) // 2], "truncated-last": lambda o: o[:-3],
        "truncated-in-name": lambda o: o[:o.index(b"<m:Device") + 4], "truncated-in-character": swap(b"CGI", b"CG\xc3"),
        "utf-16-le": lambda o: o.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "utf-16-be-bare": lambda o: o.decode().encode("utf-16-be"),
        "utf-32": lambda o: o.decode().encode("utf-32"), "nul": swap(b">CGI<", b">C\0GI<"), "control": swap(b">CGI<", b">C\x01GI<"),
        "not-utf-8": swap(b">CGI<", b">C\xe9I<"), "overlong": swap(b">CGI<", b">C\xc0\x80<"), "surrogate": swap(b">CGI<", b">\xed\xa0\x80<"), "fffe": swap(b">CGI<", b">\xef\xbf\xbe<"),
        "unbound-prefix": swap(b"<m:SMSO>CGI</m:SMSO>", b"<q:SMSO>CGI</q:SMSO>"), "unbound-attribute": swap(b" SchemaVersion", b" q:a='' SchemaVersion"),
        "attribute-twice": swap(b" SchemaVersion", b" a='1' a='2' SchemaVersion"),
        "attribute-twice-by-namespace": swap(b" SchemaVersion", b" xmlns:p='urn:p' xmlns:q='urn:p' p:a='1' q:a='2' SchemaVersion"),
        "prefix-undeclared": swap(b" SchemaVersion", b" xmlns:p='' SchemaVersion"), "prefix-xmlns": swap(b" SchemaVersion", b" xmlns:xmlns='urn:x' SchemaVersion"),
        "two-roots": lambda o: o + b"<m:Header xmlns:m='urn:postern:smets1-migration:1'/>", "text-after": lambda o: o + b"x", "text-before": lambda o: o[o.index(b"\n"):].replace(b"\n", b"x", 1),
        "late-declaration": lambda o: b"\n" + o, "bare-ampersand": swap(b">CGI<", b">C&I<"), "less-than-in-attribute": swap(b'Version="1.0"', b'Version="<"'),
        "section-end-in-text": swap(b">CGI<", b">]]><"), "reference-nul": swap(b">CGI<", b">&#0;<"), "reference-huge": swap(b">CGI<", b">&#x110000;<"),
        "comment-dashes": swap(b"<m:Header>", b"<m:Header><!-- a -- b -->"), "end-tag-other": swap(b"</m:SMSO>", b"</m:SMSo>"), "no-space": swap(b' xmlns:ds=', b'xmlns:ds='),
        "name-two-colons": swap(b"<m:SMSO>CGI</m:SMSO>", b"<m:S:O>CGI</m:S:O>"), "only-space": lambda o: b" \n", "text-only": lambda o: b"hello",
    }
    octets = good_octets(s)
    for label, change in malformed.items():
        bad = change(octets)
        assert bad != octets, label
        # A declaration that is not first is also a processing instruction of a reserved name; white space alone is also nothing.
        either = {"late-declaration": ["XML_FORBIDDEN"], "only-space": ["FILE_EMPTY"]}.get(label, [])
        s.raw(f"malformed-{label}", ["XML_MALFORMED", *either], bad, clause="XML 1.0; Namespaces in XML 1.0")
    bomb = b'<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa">' + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)) + b"]>\n"
    deep = lambda depth: lambda o: o.replace(b"<m:Header>", b"<m:x>" * depth + b"</m:x>" * depth + b"<m:Header>", 1)
    forbidden = {
        "doctype": swap(b"<m:Migration", b"<!DOCTYPE m>\n<m:Migration"),
        "entity-bomb": lambda o: o.replace(b"<m:Migration", bomb + b"<m:Migration", 1).replace(b">CGI<", b">&j;<"),
        "external-entity": lambda o: o.replace(b"<m:Migration", b'<!DOCTYPE m [<!ENTITY e SYSTEM "file:///etc/hostname">]>\n<m:Migration', 1).replace(b">CGI<", b">&e;<"),
        "entity-undeclared": swap(b">CGI<", b">C&nbsp;I<"), "instruction-before": swap(b"<m:Migration", b"<?pi x?>\n<m:Migration"),
        "instruction-inside": swap(b"<m:Header>", b"<m:Header><?pi?>"), "instruction-after": lambda o: o + b"<?pi?>",
        "version-1.1": swap(b'version="1.0"', b'version="1.1"'), "encoding-latin-1": swap(b"UTF-8", b"ISO-8859-1"), "encoding-ascii": swap(b"UTF-8", b"US-ASCII"),
        "cdata": swap(b">CGI<", b"><![CDATA[CGI]]><"),
        "depth-65": deep(64), "depth-10000": deep(10_000), "attributes-65": swap(b" SchemaVersion", b"".join(b" a%d=''" % i for i in range(64)) + b" SchemaVersion"),
        "attributes-million": swap(b" SchemaVersion", b"".join(b" a%d=''" % i for i in range(1_000_000)) + b" SchemaVersion"),
        "namespaces-65": swap(b" SchemaVersion", b"".join(b" xmlns:n%d='urn:n'" % i for i in range(66)) + b" SchemaVersion"),
        "namespaces-nested": lambda o: o.replace(b"<m:Header>", b"".join(b"<m:x%d xmlns:n%d='urn:%d'><m:y%d xmlns:o%d='urn:o'>" % (i, i, i, i, i) for i in range(31)) + b"".join(b"</m:y%d></m:x%d>" % (i, i) for i in reversed(range(31))) + b"<m:Header>", 1)
        .replace(b" SchemaVersion", b" xmlns:h='urn:h' SchemaVersion", 1),
        "token-text": swap(b">CGI<", b">" + b"C" * ((1 << 20) + 1) + b"<"), "token-attribute": swap(b'Version="1.0"', b'Version="' + b"1" * ((1 << 20) + 1) + b'"'),
        "token-name": swap(b"<m:SMSO>CGI</m:SMSO>", b"<m:%s>CGI</m:%s>" % ((b"S" * ((1 << 20) + 1),) * 2)), "token-comment": swap(b"<m:Header>", b"<m:Header><!--" + b"c" * ((1 << 20) + 1) + b"-->"),
    }
    for label, change in forbidden.items():
        bad = change(octets)
        assert bad != octets, label
        s.raw(f"forbidden-{label}", "XML_FORBIDDEN", bad, clause="interface 2")
    many = s.world.installation(s.cgi)
    for _ in range(257):
        many.device("PPMID", None)
    s.whole("forbidden-devices-257", "XML_FORBIDDEN", installations=[many])


def places(s):
    s.whole("root-unknown", "WRONG_LOCATION", edit=lambda text: text.replace(MGEF, "MigrationFile"))
    s.whole("root-other-namespace", "WRONG_LOCATION", edit=lambda text: text.replace(M, "urn:postern:smets1-migration:2"))
    s.whole("root-no-namespace", "WRONG_LOCATION", edit=lambda text: text.replace(f"m:{MGEF}", MGEF))
    s.raw("root-html", "WRONG_LOCATION", b"<html/>")
    s.whole("mgef-at-early-validation", "WRONG_LOCATION", s.early)
    s.whole("sender-other", "WRONG_LOCATION", fields={"Sender": s.mds.sender})
    s.whole("smso-other", "WRONG_LOCATION", fields={"SMSO": "MDS"})
    one = lambda location: [Common(s.world, s.early.sender)]
    s.whole("early-not-notified", "EARLY_VALIDATION_NOT_NOTIFIED", s.closed, one(s.closed), root=MCF)
    s.whole("early-notified-tomorrow", "EARLY_VALIDATION_NOT_NOTIFIED", s.later, one(s.later), root=MCF)
    s.whole("sender-decommissioned", "SENDER_DECOMMISSIONED", s.gone)


def signature(s):
    invalid = lambda case, **options: s.whole(f"signature-{case}", "SIGNATURE_INVALID", clause="interface 2.4", **options)
    s.whole("signature-missing", "SIGNATURE_MISSING", signed=False)
    invalid("content-changed", after=lambda o: o.replace(b">ESME<", b">GSME<", 1))
    invalid("content-space-added", after=lambda o: o.replace(b"<m:Header>", b"<m:Header> ", 1))
    flip = lambda octets: octets[:-1] + bytes([octets[-1] ^ 1])
    invalid("value-flipped", value=flip)
    invalid("value-63-octets", value=lambda octets: octets[:-1])
    invalid("value-65-octets", value=lambda octets: octets + b"\0")
    invalid("value-zero", value=lambda octets: bytes(64))
    invalid("value-der", value=lambda octets: b"\x30\x44\x02\x20" + octets[:32] + b"\x02\x20" + octets[32:])
    invalid("value-empty", value=lambda octets: b"")
    invalid("digest-wrong", signed_info=lambda text: re.sub("<ds:DigestValue>(.)", lambda found: "<ds:DigestValue>" + ("B" if found.group(1) == "A" else "A"), text))
    invalid("digest-empty", signed_info=lambda text: re.sub("<ds:DigestValue>[^<]*", "<ds:DigestValue>", text))
    invalid("comment-in-digest", signed_info=lambda text: text.replace("<ds:DigestValue>", "<ds:DigestValue><!--x-->"))
    invalid("comment-in-value", signature=lambda text: text.replace("<ds:SignatureValue>", "<ds:SignatureValue><!--x-->"))
    invalid("bad-base64-value", signature=lambda text: text.replace("<ds:SignatureValue>", "<ds:SignatureValue>*"))
    invalid("unpadded-value", signature=lambda text: text.replace("==</ds:SignatureValue>", "</ds:SignatureValue>"))
    invalid("by-another-key", key_info=f"<ds:X509Data>{issuer_serial(s.cgi.signers['second'])}</ds:X509Data>")
    invalid("twice", signature=lambda text: text + text)
    invalid("another-in-header", after=lambda o: o.replace(b"<m:Header>", b"<m:Header>" + o[o.index(b"<ds:Signature "):o.index(b"</ds:Signature>") + 15], 1))
    invalid("not-last", edit=lambda text: text.replace("  @@SIGNATURE@@\n", "  @@SIGNATURE@@\n  <m:Note/>\n"))
    invalid("first", edit=lambda text: text.replace("  @@SIGNATURE@@\n", "").replace("  <m:Header>", "  @@SIGNATURE@@\n  <m:Header>", 1))
    invalid("nested", edit=lambda text: text.replace("  @@SIGNATURE@@\n", "").replace("  </m:Header>", "  @@SIGNATURE@@\n  </m:Header>", 1))
    invalid("object-inside", signature=lambda text: text.replace("</ds:Signature>", "<ds:Object/></ds:Signature>"))
    invalid("object-with-original", signature=lambda text: text.replace("</ds:Signature>", "<ds:Object><m:Header/></ds:Object></ds:Signature>"))
    invalid("second-signed-info", signature=lambda text: re.sub(r"(<ds:SignedInfo>.*</ds:SignedInfo>)", r"\1\1", text))
    invalid("unknown-child", signature=lambda text: text.replace("<ds:SignatureValue>", "<m:x/><ds:SignatureValue>"))
    invalid("text-inside", signature=lambda text: text.replace("<ds:SignatureValue>", "x<ds:SignatureValue>"))
    invalid("reference-by-id", uri="#x", edit=lambda text: text.replace(" SchemaVersion", ' Id="x" SchemaVersion', 1))
    invalid("reference-xpointer", uri="#xpointer(/)")
    invalid("reference-absent-uri", signed_info=lambda text: text.replace(' URI=""', ""))
    invalid("two-references", signed_info=lambda text: re.sub(r"(<ds:Reference.*</ds:Reference>)", r"\1\1", text))
    invalid("no-reference", signed_info=lambda text: re.sub(r"<ds:Reference.*</ds:Reference>", "", text))
    invalid("no-transforms", signed_info=lambda text: re.sub(r"<ds:Transforms>.*</ds:Transforms>", "", text))
    invalid("not-enveloped", transforms=[EXCLUSIVE], exclusive=True)
    invalid("transforms-swapped", transforms=[EXCLUSIVE, ENVELOPED], exclusive=True)
    invalid("transform-twice", transforms=[ENVELOPED, ENVELOPED])
    forbidden = lambda case, codes="ALGORITHM_FORBIDDEN", location=None, **options: s.whole(f"algorithm-{case}", codes, location, clause="interface 2.4", **options)
    for label, uri in (
        ("base64", DS + "base64"), ("xslt", "http://www.w3.org/TR/1999/REC-xslt-19991116"), ("xpath", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
        ("inclusive-c14n", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"), ("exclusive-with-comments", EXCLUSIVE + "WithComments"),
    ):
        forbidden(f"transform-{label}", transforms=[ENVELOPED, uri])
    prefixes = f'<ds:Transform Algorithm="{EXCLUSIVE}"><ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="m"/></ds:Transform>'
    forbidden("inclusive-namespaces", transforms=[ENVELOPED, prefixes], exclusive=True)
    forbidden("inclusive-namespaces-signed-info", signed_info=lambda text: text.replace(f'Method Algorithm="{EXCLUSIVE}"/>', f'Method Algorithm="{EXCLUSIVE}"><ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="m"/></ds:CanonicalizationMethod>', 1))
    forbidden("digest-sha1", digest_method=SHA1)
    forbidden("signed-info-inclusive", signed_info=lambda text: text.replace(f'Method Algorithm="{EXCLUSIVE}"', 'Method Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"', 1))
    for label, uri in (
        ("hmac-sha1", DS + "hmac-sha1"), ("hmac-sha256", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"), ("rsa-sha1", DS + "rsa-sha1"),
        ("ecdsa-sha1", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"), ("dsa", DS + "dsa-sha1"), ("unknown", "urn:x"), ("none", ""),
    ):
        forbidden(f"method-{label}", ["ALGORITHM_FORBIDDEN"] if uri else ["ALGORITHM_FORBIDDEN", "SIGNATURE_INVALID"], algorithm=uri)
    forbidden("hmac-length", ["ALGORITHM_FORBIDDEN", "SIGNATURE_INVALID"], signed_info=lambda text: re.sub(r'(<ds:SignatureMethod [^>]*)/>', r"\1><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>", text))
    forbidden("ecdsa-sha384-not-allowed-here", algorithm="ecdsa-sha384")
    forbidden("rsa-sha256-not-allowed-here", algorithm="rsa-sha256")
    forbidden("ecdsa-sha256-on-p384", ["ALGORITHM_FORBIDDEN", "SIGNATURE_INVALID"], s.mds, signer="p384")
    forbidden("rsa-method-on-ec-key", ["SIGNATURE_INVALID", "ALGORITHM_FORBIDDEN"], s.mds, signed_info=lambda text: text.replace("#ecdsa-sha256", "#rsa-sha256"))


def signers(s):
    first, second, stranger = (s.cgi.signers[label] for label in ("first", "second", "unregistered"))
    unknown = lambda case, info, codes="SIGNER_UNKNOWN", **options: s.whole(f"signer-{case}", codes, key_info=info, clause="interface 2.4", **options)
    data = lambda *parts: f"<ds:X509Data>{''.join(parts)}</ds:X509Data>"
    unknown("unregistered", data(issuer_serial(stranger)), signer=stranger)
    unknown("unregistered-ski", data(x509_ski(stranger)), signer=stranger)
    unknown("unregistered-embedded", data(x509_certificate(stranger)), signer=stranger)
    unknown("of-another-sender", data(issuer_serial(s.mds.signers["first"])), signer=s.mds.signers["first"])
    unknown("two-different", data(issuer_serial(first), x509_ski(second)))
    unknown("serial-other", data(issuer_serial(first).replace(str(first.certificate.serial_number), "1")))
    unknown("issuer-other", data(issuer_serial(first, "CN=Foreign Issuing CA 1,OU=08")))
    unknown("issuer-shorter", data(issuer_serial(first, "CN=Foreign Issuing CA 1")))
    unknown("issuer-longer", data(issuer_serial(first, "CN=Foreign Issuing CA 1,OU=07,O=x")))
    point = first.certificate.public_key().public_numbers()
    octets = b"\x04" + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    unknown("key-value", f'<ds:KeyValue><dsig11:ECKeyValue xmlns:dsig11="http://www.w3.org/2009/xmldsig11#"><dsig11:NamedCurve URI="{OID["P-256"]}"/><dsig11:PublicKey>{b64(octets)}</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue>')
    either = ["SIGNER_UNKNOWN", "SIGNATURE_INVALID"]
    unknown("key-info-empty", "", either)
    unknown("key-info-absent", "", signature=lambda text: text.replace("<ds:KeyInfo></ds:KeyInfo>", ""))
    unknown("key-name", "<ds:KeyName>first</ds:KeyName>", either)
    unknown("subject-name", data("<ds:X509SubjectName>CN=cgi-live-first</ds:X509SubjectName>"), either)
    for label, code in (
        ("expired", "CERTIFICATE_EXPIRED"), ("not-yet", "CERTIFICATE_NOT_YET_VALID"), ("revoked", "CERTIFICATE_REVOKED"),
        ("stranger", "CERTIFICATE_UNTRUSTED"), ("may-not-sign", "CERTIFICATE_UNTRUSTED"),
    ):
        s.whole(f"certificate-{label}", code, signer=label, clause="interface 2.4; RFC 5280")


def encryption_algorithms(s):
    forbidden = lambda case, codes="ALGORITHM_FORBIDDEN", **device: s.whole(f"encryption-{case}", codes, installations=s.one(**device), clause="interface 2.5")
    swap = lambda before, after: (lambda text: must(text, before, after))
    for label, uri in (("aes256-cbc", XENC + "aes256-cbc"), ("tripledes", XENC + "tripledes-cbc"), ("aes192-gcm", XENC11 + "aes192-gcm"), ("unknown", "urn:x")):
        forbidden(f"content-{label}", mutate=swap(XENC11 + "aes256-gcm", uri))
    for label, uri in (("kw-aes192", XENC + "kw-aes192"), ("kw-tripledes", XENC + "kw-tripledes"), ("kw-pad", XENC11 + "kw-aes-256-pad")):
        forbidden(f"wrap-{label}", mutate=swap(XENC + "kw-aes256", uri))
    forbidden("rsa-1_5", key="dco-rsa", mutate=swap("rsa-oaep-mgf1p", "rsa-1_5"))
    forbidden("oaep-mixed-default-mgf", key="dco-rsa", oaep=("oaep", SHA256, None))
    forbidden("oaep-mixed-default-digest", key="dco-rsa", oaep=("oaep", None, MGF1_SHA256))
    forbidden("oaep-sha512", key="dco-rsa", oaep=("oaep", XENC + "sha512", XENC11 + "mgf1sha512"))
    forbidden("mgf1p-sha256", key="dco-rsa", oaep=("mgf1p", SHA256, None))
    forbidden("mgf1p-with-mgf", key="dco-rsa", oaep=("mgf1p", None, XENC11 + "mgf1sha1"))
    forbidden("oaep-params", key="dco-rsa", oaep=("oaep", SHA256, MGF1_SHA256), mutate=swap(f'<ds:DigestMethod Algorithm="{SHA256}"/>', f'<xenc:OAEPparams>AAAA</xenc:OAEPparams><ds:DigestMethod Algorithm="{SHA256}"/>'))
    forbidden("kdf-sha1", mutate=swap(SHA256 + '"/></xenc11:ConcatKDFParams>', SHA1 + '"/></xenc11:ConcatKDFParams>'))
    forbidden("kdf-sha512", mutate=swap(SHA256 + '"/></xenc11:ConcatKDFParams>', XENC + 'sha512"/></xenc11:ConcatKDFParams>'))
    forbidden("kdf-pad-bits", kdf={"AlgorithmID": "0400", "PartyUInfo": "00", "PartyVInfo": "00"})
    forbidden("kdf-pbkdf2", mutate=swap(XENC11 + "ConcatKDF", XENC11 + "pbkdf2"))
    forbidden("agreement-dh", mutate=swap(XENC11 + "ECDH-ES", XENC11 + "dh-es"))
    forbidden("curve-p521", curve_uri="urn:oid:1.3.132.0.35", point=b"\x04" + bytes(132))
    forbidden("curve-secp256k1", curve_uri="urn:oid:1.3.132.0.10")


def must(text, before, after, count=1):
    assert before in text, before
    return text.replace(before, after, count)


def encryption_structure(s):
    invalid = lambda case, codes="SCHEMA_INVALID", **device: s.whole(f"structure-{case}", codes, installations=s.one(**device), clause="interface 2.5")
    swap = lambda before, after: (lambda text: must(text, before, after))
    cut = lambda pattern, after="": (lambda text: cut_once(pattern, after, text))
    invalid("cipher-reference", mutate=cut(r"<xenc:CipherValue>[^<]*</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>", '<xenc:CipherReference URI="#x"/></xenc:CipherData></xenc:EncryptedData>'))
    invalid("two-encrypted-keys", mutate=lambda text: re.sub(r"(<xenc:EncryptedKey>.*</xenc:EncryptedKey>)", r"\1\1", text))
    invalid("no-key-info", mutate=lambda text: re.sub(r"(aes256-gcm\"/>)<ds:KeyInfo>.*</ds:KeyInfo>(<xenc:CipherData>)", r"\1\2", text))
    invalid("no-encrypted-key", mutate=cut(r"<xenc:EncryptedKey>.*</xenc:EncryptedKey>", "<ds:KeyName>k</ds:KeyName>"))
    invalid("no-ski", mutate=cut(r"<ds:X509Data><ds:X509SKI>[^<]*</ds:X509SKI></ds:X509Data>", "<ds:KeyName>k</ds:KeyName>"))
    invalid("no-cipher-data", mutate=cut(r"<xenc:CipherData><xenc:CipherValue>[^<]*</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>", "</xenc:EncryptedData>"))
    invalid("no-encryption-method", mutate=cut(r'<xenc:EncryptionMethod Algorithm="[^"]*aes256-gcm"/>'))
    invalid("kdf-odd", kdf={"AlgorithmID": "000", "PartyUInfo": "00", "PartyVInfo": "00"})
    invalid("kdf-no-hex", kdf={"AlgorithmID": "00zz", "PartyUInfo": "00", "PartyVInfo": "00"})
    invalid("base64-letter", encode=lambda octets: "*" + b64(octets)[1:])
    invalid("base64-url-alphabet", encode=lambda octets: "-_" + b64(octets)[2:])
    invalid("base64-unpadded", cek=os.urandom(32), encode=lambda octets: b64(octets).rstrip("=") if len(octets) == 40 else b64(octets))
    invalid("base64-data-after-padding", encode=lambda octets: b64(octets) + "AAAA" if b64(octets).endswith("=") else b64(octets) + "=")
    invalid("comment-in-value", encode=lambda octets: b64(octets)[:8] + "<!-- -->" + b64(octets)[8:])
    s.whole("structure-cdata-in-value", "XML_FORBIDDEN", installations=s.one(), after=lambda o: re.sub(rb"<xenc:CipherValue>([^<]*)<", rb"<xenc:CipherValue><![CDATA[\1]]><", o, count=1))
    invalid("empty-element", element=" ")
    short = s.one(ski=b"12345")
    s.whole("structure-ski-5-octets", "SCHEMA_INVALID", installations=short, clause="interface 2.5")
    # As well: no such key is in the register.
    unknown = {"result": ["Rejected"], "file_codes": [], "installations": {short[0].identity: {"must": ["KEY_UNKNOWN"], "may": ["KEY_UNKNOWN"]}}, "messages": []}
    s.world.cases[-1]["outcomes"].append(unknown)
    invalid("ec-parameters", ["SCHEMA_INVALID", "ALGORITHM_FORBIDDEN"], mutate=cut(r'<dsig11:NamedCurve URI="[^"]*"/>', "<dsig11:ECParameters/>"))
    cek = os.urandom(32)
    for label, uri, keep, codes in (
        ("nowhere", "#nowhere", "there", None), ("outside", "http://example.invalid/key.xml", "there", None), ("empty", "", "there", None),
        ("to-other-element", "#data", "there", None), ("twice", "#there", "there", None),
    ):
        entries = [s.world.installation(s.cgi) for _ in range(3)]
        for index, entry in enumerate(entries):
            device = s.world.next_device()
            knobs = {"cek": cek, "key_id": keep if index == 0 or (label == "twice" and index == 1) else ""}
            if label == "to-other-element" and index == 1:
                knobs["mutate"] = lambda text: text.replace("<xenc:EncryptedData ", '<xenc:EncryptedData Id="data" ')
            plain = entry.master_key(device)
            element = Encryption(**knobs).encrypted_data(plain.encode(), s.world.register["dco"], uri if index == 2 else None)
            entry.device("ESME", "dco", device, plain=plain, element=element)
        s.whole(f"structure-retrieval-{label}", "SCHEMA_INVALID", installations=entries, clause="interface 2.5")


def cut_once(pattern, after, text):
    made, count = re.subn(pattern, lambda _: after, text, count=1)
    assert count == 1, pattern
    return made


def schema(s):
    invalid = lambda case, **options: s.whole(f"schema-{case}", options.pop("codes", "SCHEMA_INVALID"), clause="interface 2.1 and 2.2", **options)
    swap = lambda before, after: (lambda text: must(text, before, after))
    for label, fields in {
        "file-id-space": {"FileID": "A B"}, "file-id-65": {"FileID": "F" * 65}, "file-id-empty": {"FileID": ""}, "counter-0": {"Counter": 0},
        "counter-too-big": {"Counter": 1 << 53}, "counter-negative": {"Counter": -1}, "counter-huge": {"Counter": "9" * 40}, "counter-text": {"Counter": "one"}, "sender-malformed": {"Sender": "70-B3"},
        "smso-17": {"SMSO": "S" * 17}, "smso-dash": {"SMSO": "C-GI"}, "group-absent": {"GroupID": None}, "group-small": {"GroupID": "ca"},
        "created-fraction": {"Created": "2026-11-02T09:00:00.5Z"}, "created-offset": {"Created": "2026-11-02T09:00:00+00:00"}, "created-no-such-day": {"Created": "2026-02-30T09:00:00Z"},
        "created-date-only": {"Created": "2026-11-02"}, "count-text": {"InstallationCount": "one"}, "count-negative": {"InstallationCount": "-1"}, "space-around-value": {"SMSO": " CGI"}, "newline-after-value": {"Created": s.world.created + "\n"},
        "comment-in-value": {"SMSO": "C<!-- x -->GI"}, "comment-before-value": {"SMSO": "<!-- x -->CGI"}, "counter-absent": {"Counter": None}, "file-id-child": {"FileID": "<m:a/>"},
    }.items():
        invalid(label, fields=fields)
    invalid("header-order", header=lambda text: re.sub(r"(    <m:Sender>.*</m:Sender>\n)(    <m:SMSO>.*</m:SMSO>\n)", r"\2\1", text))
    invalid("header-unknown", header=swap("</m:Header>", "<m:Note/></m:Header>"))
    invalid("header-twice", edit=lambda text: re.sub(r"(  <m:Header>.*</m:Header>\n)", r"\1\1", text, flags=re.S))
    invalid("header-absent", edit=lambda text: re.sub(r"  <m:Header>.*</m:Header>\n", "", text, flags=re.S))
    invalid("version-absent", edit=swap(' SchemaVersion="1.0"', ""))
    invalid("version-other", edit=swap('SchemaVersion="1.0"', 'SchemaVersion="2.0"'))
    invalid("text-between", edit=swap("<m:Installation>", "text<m:Installation>"))
    invalid("element-unknown", edit=swap("<m:Installation>", "<m:Note/><m:Installation>"))
    invalid("attribute-unknown", edit=swap("<m:Installation>", '<m:Installation Note="x">'))
    invalid("element-other-namespace", edit=swap("<m:DeviceType>ESME</m:DeviceType>", '<x:DeviceType xmlns:x="urn:x">ESME</x:DeviceType>'))
    invalid("no-installation", installations=[Nothing()], fields={"InstallationCount": 0})
    invalid("installation-id-65", installations=[s.world.installation(s.cgi, identity="I" * 65).device()])
    invalid("installation-id-slash", installations=[s.world.installation(s.cgi, identity="../x").device()])
    invalid("device-type", installations=s.one(kind="TOASTER"))
    invalid("device-id", installations=s.one(identity="90-B3-D5-1F-30-01-00"))
    invalid("two-master-keys", edit=lambda text: re.sub(r"(<m:EncryptedMasterKey>.*</m:EncryptedMasterKey>)", r"\1\1", text))
    invalid("s1sp-before-device", installations=[s.world.installation(s.cgi).s1sp().device()])
    invalid("two-s1sp", installations=[s.world.installation(s.cgi).device().s1sp().s1sp()])


class Nothing:
    """An installation that is not there."""

    def text(self):
        return ""


def header(s):
    s.whole("count-one-more", "COUNT_MISMATCH", fields={"InstallationCount": 2})
    s.whole("count-zero", ["COUNT_MISMATCH", "SCHEMA_INVALID"], fields={"InstallationCount": 0})
    s.whole("created-in-future", "CREATED_IN_FUTURE", fields={"Created": s.stamp(datetime.timedelta(hours=2))})
    s.world.good("created-four-minutes-ahead", s.cgi, s.one(), "interface 3", fields={"Created": s.stamp(datetime.timedelta(minutes=4))})
    s.whole("group-unknown", "GROUP_UNKNOWN", group="ZZ", installations=[s.world.installation(s.cgi, "ZZ").device()])
    # Where two hold, the first of the order is told.
    s.whole("first-signature-then-count", "SIGNATURE_INVALID", fields={"InstallationCount": 2}, after=lambda o: o.replace(b">ESME<", b">GSME<", 1))
    s.whole("first-schema-then-sender", "SCHEMA_INVALID", fields={"Sender": s.mds.sender, "FileID": "A B"})
    s.whole("first-sender-then-count", "WRONG_LOCATION", fields={"Sender": s.mds.sender, "InstallationCount": 2})
    s.whole("first-count-then-created", "COUNT_MISMATCH", fields={"InstallationCount": 2, "Created": s.stamp(datetime.timedelta(hours=2))})
    s.whole("first-created-then-group", "CREATED_IN_FUTURE", fields={"GroupID": "ZZ", "Created": s.stamp(datetime.timedelta(hours=2))})
    s.whole("first-algorithm-then-signer", "ALGORITHM_FORBIDDEN", digest_method=SHA1, signer="unregistered")
    s.whole("first-certificate-then-encryption", "CERTIFICATE_EXPIRED", signer="expired", installations=s.one(mutate=lambda text: text.replace("aes256-gcm", "aes192-gcm")))
    s.whole("first-encryption-then-schema", "ALGORITHM_FORBIDDEN", fields={"FileID": "A B"}, installations=s.one(mutate=lambda text: text.replace("aes256-gcm", "aes192-gcm")))


def counters(s):
    world, low = s.world, s.low
    at = lambda case, counter, **options: world.good(case, low, s.one(low), "interface 3", fields={"Counter": counter, **options})
    again = lambda case, code, **fields: s.whole(case, code, low, fields=fields, clause="interface 3")
    first = at("counter-5000", 5000, FileID="first")
    again("counter-used", "COUNTER_REPLAYED", Counter=5000)
    at("counter-1024-below", 3976)
    again("counter-1025-below", "COUNTER_REPLAYED", Counter=3975)
    again("file-id-used", "FILE_ID_REUSED", Counter=5001, FileID="first")
    again("file-id-and-counter-used", "FILE_ID_REUSED", Counter=5000, FileID="first")
    s.whole("refused-whole-uses-nothing-up", "SIGNATURE_INVALID", low, fields={"Counter": 5002, "FileID": "kept"}, after=lambda o: o.replace(b">ESME<", b">GSME<", 1))
    at("refused-whole-sent-again", 5002, FileID="kept")
    supplier = s.early.sender
    world.good("counter-of-other-root", low, [Common(world, supplier)], "interface 3", root=MCF, fields={"Counter": 5000, "FileID": "common"})
    refused = [world.installation(low).device(key="unlisted").refuse("KEY_UNKNOWN")]
    world.good("no-installation-accepted", low, refused, "interface 3", fields={"Counter": 5003, "FileID": "none"})
    at("no-installation-accepted-uses-nothing-up", 5003, FileID="none")
    original = next(case for case in world.cases if case["case"] == "counter-5000")
    outcome = {**original["outcomes"][0], "result": ["Duplicate"], "messages": []}
    world.add("duplicate", low, first, outcomes=[outcome], clause="interface 3")
    mixed = [world.installation(low).device(), world.installation(low).device(key="unlisted").refuse("KEY_UNKNOWN")]
    partly = world.good("duplicate-of-partly-first", low, mixed, "interface 3", fields={"Counter": 5004})
    outcome = {**world.cases[-1]["outcomes"][0], "result": ["Duplicate"], "messages": []}
    world.add("duplicate-of-partly", low, partly, outcomes=[outcome], clause="interface 3")
    bad = s.whole("refused-bytes", "COUNT_MISMATCH", low, fields={"Counter": 5005, "InstallationCount": 2})
    s.raw("refused-bytes-again", "COUNT_MISMATCH", bad, low)


def keys(s):
    for label, code in (
        ("unlisted", "KEY_UNKNOWN"), ("proposed", "KEY_UNKNOWN"), ("expired", "KEY_EXPIRED"), ("not-yet", "KEY_NOT_YET_VALID"), ("revoked", "KEY_REVOKED"),
        ("group-aa", "KEY_OUT_OF_SCOPE"), ("no-group", "KEY_OUT_OF_SCOPE"), ("smso-mds", "KEY_OUT_OF_SCOPE"), ("no-element", "KEY_OUT_OF_SCOPE"),
        ("gsme-only", "KEY_OUT_OF_SCOPE"), ("s1sp", "KEY_OUT_OF_SCOPE"),
    ):
        s.part(f"key-{label}", code, key=label, clause="interface 3; TMAD 5.1 (a)")
    s.part("key-dco-for-s1sp", "KEY_OUT_OF_SCOPE", entry=s.world.installation(s.cgi).device().s1sp("dco"), clause="interface 3")
    for label in ("first-day", "last-day", "smso-cgi"):
        s.world.good(f"key-{label}", s.cgi, s.one(key=label), "interface 3")
    s.world.good("key-gsme-only-gsme", s.cgi, [s.world.installation(s.cgi).device().device("GSME", "gsme-only")], "interface 3")
    entry = s.one(key="first-day")
    s.world.good("key-created-before-first-day", s.cgi, [entry[0].refuse("KEY_NOT_YET_VALID")], "interface 3: arrival or Created", fields={"Created": s.stamp(-2 * DAY)})
    both = s.world.installation(s.cgi).device(key="unlisted").device("GSME", "expired").device("CHF", "dco", tamper_content=flip_last)
    s.part("all-reasons", ["KEY_UNKNOWN", "KEY_EXPIRED", "DECRYPTION_FAILED"], entry=both, clause="interface 3: all reasons are reported")


def flip_last(octets):
    return octets[:-1] + bytes([octets[-1] ^ 1])


def decryption(s):
    failed = lambda case, codes="DECRYPTION_FAILED", **device: s.part(f"decryption-{case}", codes, clause="interface 3; XML Encryption 1.1, 4.4", **device)
    failed("tag-flipped", tamper_content=flip_last)
    failed("iv-flipped", tamper_content=lambda octets: bytes([octets[0] ^ 1]) + octets[1:])
    failed("content-flipped", tamper_content=lambda octets: octets[:20] + bytes([octets[20] ^ 1]) + octets[21:])
    failed("tag-12-octets", tamper_content=lambda octets: octets[:-4])
    failed("tag-4-octets", tamper_content=lambda octets: octets[:-12])
    failed("iv-16-octets", iv=os.urandom(16))
    failed("content-27-octets", tamper_content=lambda octets: octets[:27])
    failed("content-1-octet", tamper_content=lambda octets: octets[:1])
    failed("wrapped-flipped", tamper_wrapped=flip_last)
    failed("wrapped-short", tamper_wrapped=lambda octets: octets[:-8])
    failed("wrapped-odd", tamper_wrapped=lambda octets: octets[:-1])
    failed("wrapped-8-octets", tamper_wrapped=lambda octets: octets[:8])
    failed("kw-aes128-named-256-used", mutate=lambda text: text.replace("kw-aes256", "kw-aes128"))
    failed("other-key", key="dco", ski=s.world.register["gsme-only"].identifier, kind="GSME")
    failed("kdf-other-info", mutate=lambda text: text.replace('PartyUInfo="00"', 'PartyUInfo="0001"'))
    failed("content-key-16-for-256", cek=os.urandom(16))
    failed("content-key-24-for-256", cek=os.urandom(24))
    failed("content-key-32-for-128", content="aes128-gcm", cek=os.urandom(32))
    failed("content-key-40", cek=os.urandom(40))
    failed("content-128-named-256-used", mutate=lambda text: text.replace("aes256-gcm", "aes128-gcm"))
    failed("point-off-curve", point=b"\x04" + (1).to_bytes(32, "big") + (1).to_bytes(32, "big"))
    failed("point-beyond-field", point=b"\x04" + b"\xff" * 64)
    failed("point-zero", point=b"\x04" + bytes(64))
    failed("point-compressed", point=b"\x02" + bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"))
    failed("point-hybrid", point=b"\x06" + bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"))
    failed("point-infinity", point=b"\0")
    failed("point-short", point=b"\x04" + bytes(40))
    failed("point-of-p384-on-p256", point=b"\x04" + bytes(96))
    failed("curve-p384-for-p256-key", curve_uri=OID["P-384"])
    failed("curve-p256-for-p384-key", key="dco-p384", curve_uri=OID["P-256"])
    failed("rsa-flipped", key="dco-rsa", tamper_wrapped=flip_last)
    failed("rsa-short", key="dco-rsa", tamper_wrapped=lambda octets: octets[:-1])
    failed("rsa-long", key="dco-rsa", tamper_wrapped=lambda octets: b"\0" + octets)
    failed("rsa-zero", key="dco-rsa", tamper_wrapped=lambda octets: bytes(len(octets)))
    failed("rsa-beyond-modulus", key="dco-rsa", tamper_wrapped=lambda octets: b"\xff" * len(octets))
    failed("rsa-other-hash", key="dco-rsa", oaep=("oaep", SHA256, MGF1_SHA256), oaep_hashes=hashes_sha1())
    failed("rsa-content-key-16-for-256", key="dco-rsa", cek=os.urandom(16))
    failed("rsa-method-ec-key", key="dco-rsa", ski=s.world.register["dco"].identifier)
    failed("ec-method-rsa-key", ski=s.world.register["dco-rsa"].identifier)


def hashes_sha1():
    return hashes.SHA1, hashes.SHA1


def payload(s):
    entry = lambda group="CA": s.world.installation(s.cgi, group)
    mismatch = lambda case, edit: s.part(f"binding-{case}", "BINDING_MISMATCH", edit=edit, clause="interface 2.2")
    mismatch("group", lambda text: must(text, 'GroupID="CA"', 'GroupID="CB"'))
    mismatch("installation", lambda text: re.sub('InstallationID="[^"]*"', 'InstallationID="INST-OTHER"', text))
    mismatch("installation-case", lambda text: re.sub('InstallationID="INST-F', 'InstallationID="inst-f', text))
    mismatch("device", lambda text: re.sub('DeviceID="[^"]*"', 'DeviceID="90-B3-D5-1F-30-0F-FF-FF"', text))
    mismatch("smso", lambda text: must(text, " GroupID", ' SMSO="MDS" GroupID'))
    swapped = entry()
    one, two = s.world.next_device(), s.world.next_device()
    swapped.device("ESME", identity=one, plain=swapped.master_key(two)).device("GSME", identity=two, plain=swapped.master_key(one))
    s.part("binding-swapped", "BINDING_MISMATCH", entry=swapped, clause="interface 2.2")
    s.part("binding-s1sp-group", "BINDING_MISMATCH", entry=entry().device().s1sp(edit=lambda text: must(text, 'GroupID="CA"', 'GroupID="AA"')), clause="interface 2.2")
    bad = entry().device(edit=lambda text: re.sub(' DeviceID="[^"]*"', "", text))
    s.part("binding-device-absent", "PAYLOAD_INVALID", may=["BINDING_MISMATCH"], entry=bad, clause="interface 2.2")
    # As well: the device that is not named differs.
    outcome = copy.deepcopy(s.world.cases[-1]["outcomes"][0])
    outcome["installations"][bad.identity]["must"] = ["BINDING_MISMATCH"]
    s.world.cases[-1]["outcomes"].append(outcome)
    invalid = lambda case, edit: s.part(f"payload-{case}", "PAYLOAD_INVALID", edit=edit, clause="interface 2.2")
    key = lambda value: lambda text: re.sub("<m:KeyValue>[^<]*", f"<m:KeyValue>{value}", text)
    for octets in (0, 15, 17, 33, 64):
        invalid(f"key-{octets}-octets", key(b64(os.urandom(octets))))
    invalid("key-no-base64", key("!!!!"))
    invalid("key-comment", key("AAAA<!-- -->AAAA"))
    invalid("key-cdata", key(f"<![CDATA[{b64(os.urandom(32))}]]>"))
    invalid("key-absent", lambda text: re.sub("<m:KeyValue>.*</m:KeyValue>", "", text))
    invalid("key-twice", lambda text: re.sub("(<m:KeyValue>.*</m:KeyValue>)", r"\1\1", text))
    invalid("declaration", lambda text: '<?xml version="1.0" encoding="UTF-8"?>' + text)
    invalid("doctype", lambda text: "<!DOCTYPE m>" + text)
    invalid("entity", lambda text: '<!DOCTYPE m [<!ENTITY e "x">]>' + key("&e;")(text))
    invalid("instruction", lambda text: "<?x?>" + text)
    invalid("two-elements", lambda text: text + text)
    invalid("text-after", lambda text: text + "x")
    invalid("no-xml", lambda text: "hello")
    invalid("empty", lambda text: "")
    invalid("truncated", lambda text: text[:-5])
    invalid("other-namespace", lambda text: text.replace(M, "urn:x"))
    invalid("other-element", lambda text: text.replace("m:MasterKey", "m:MasterKeys"))
    invalid("attribute-unknown", lambda text: text.replace(" GroupID", ' Note="x" GroupID', 1))
    s.part("payload-not-utf-8", "PAYLOAD_INVALID", plain=b"<m:MasterKey xmlns:m=\"urn:postern:smets1-migration:1\">\xff</m:MasterKey>", clause="interface 2.2")
    wrong = entry()
    s.part("payload-wrong-kind", "PAYLOAD_INVALID", entry=wrong.device(plain=wrong.s1sp_information()), may=["BINDING_MISMATCH"], clause="interface 3")
    field = lambda name, value: lambda text: re.sub(f"<m:{name}>[^<]*</m:{name}>", f"<m:{name}>{value}</m:{name}>" if value is not None else "", text)
    for label, edit in {
        "imsi-absent": field("IMSI", None), "imsi-14-digits": field("IMSI", "23410000000000"), "imsi-16-digits": field("IMSI", "2341000000000000"), "imsi-letters": field("IMSI", "23410000000000A"),
        "imsi-space": field("IMSI", " 234100000000001"), "static-ip-absent": field("StaticIP", None), "static-ip-256": field("StaticIP", "10.20.0.256"), "static-ip-name": field("StaticIP", "host"),
        "static-ip-version-6-bad": field("StaticIP", "2001:db8::1::2"), "parameter-without-name": lambda text: text.replace(' Name="token"', ""), "s1sp-unknown-element": lambda text: text.replace("<m:IMSI>", "<m:Note/><m:IMSI>"),
    }.items():
        bad = entry("CB").device().s1sp(edit=edit).refuse("PAYLOAD_INVALID")
        s.world.good(f"payload-{label}", s.cgi, [entry("CB").device().s1sp(), bad], "interface 2.2", "CB")


def installations(s):
    world, cgi = s.world, s.cgi
    s.part("element-missing-master-key", "ELEMENT_MISSING", entry=world.installation(cgi).device("ESME", None), clause="interface 2.2")
    s.part("element-missing-one-of-two", "ELEMENT_MISSING", entry=world.installation(cgi).device().device("GSME", None), clause="interface 2.2")
    missing = world.installation(cgi, "CB").device().refuse("ELEMENT_MISSING")
    world.good("element-missing-s1sp", cgi, [world.installation(cgi, "CB").device().s1sp(), missing], "interface 2.2", "CB")
    both = world.installation(cgi, "CB").device("ESME", None).refuse("ELEMENT_MISSING")
    world.good("element-missing-both-alone", cgi, [both], "interface 2.2", "CB")
    shared = world.next_device()
    pair = [world.installation(cgi).device(identity=shared).refuse("DUPLICATE_DEVICE"), world.installation(cgi).device(identity=shared.lower()).refuse("DUPLICATE_DEVICE")]
    world.good("duplicate-device", cgi, [*pair, world.installation(cgi).device()], "interface 3")
    twice = world.installation(cgi).device(identity=(d := world.next_device())).device("GSME", identity=d)
    s.part("duplicate-device-in-one", "DUPLICATE_DEVICE", entry=twice, clause="interface 3")
    identity = world.next_installation()
    pair = [world.installation(cgi, identity=identity).device().refuse("DUPLICATE_INSTALLATION") for _ in range(2)]
    world.good("duplicate-installation", cgi, [pair[0], world.installation(cgi).device(), pair[1]], "interface 3")


def common(s):
    world, supplier = s.world, s.early.sender

    def mixed(case, code, location=s.cgi, clause="interface 2.3", **fields):
        edit = fields.pop("edit", lambda text: text)
        good, bad = Common(world, supplier), Common(world, supplier, edit=edit, **fields).refuse(code)
        world.good(case, location, [good, bad], clause, root=MCF)

    one = lambda **fields: [Common(world, supplier, **fields)]
    good = one()[0].fields["MPAN"]
    wrong = good[:-1] + str((int(good[-1]) + 1) % 10)
    mixed("mcf-no-mpan-no-mprn", "MPXN_INVALID", MPAN=None, MPRN=None)
    mixed("mcf-mpan-check-digit", "MPXN_INVALID", MPAN=wrong)
    mixed("mcf-mpan-check-digit-with-mprn", "MPXN_INVALID", MPAN=wrong, MPRN="1")
    mixed("mcf-mpan-12-digits", "MPXN_INVALID", MPAN=good[:-1], MPRN=None)
    mixed("mcf-mpan-14-digits", "MPXN_INVALID", MPAN=good + "0", MPRN=None)
    mixed("mcf-mpan-letter", "MPXN_INVALID", MPAN=good[:-2] + "O" + good[-1], MPRN=None)
    mixed("mcf-mprn-11-digits", "MPXN_INVALID", MPRN="12345678901", MPAN=None)
    mixed("mcf-mprn-letter", "MPXN_INVALID", MPRN="11313830O4", MPAN=None)
    mixed("mcf-mprn-letter-with-mpan", "MPXN_INVALID", MPRN="11313830O4")
    for status in ("Dormant", "Mixed"):
        mixed(f"mcf-{status.lower()}-without-reference", "REQUEST_REFERENCE_MISSING", MeterStatus=status)
    mixed("mcf-group-unknown", "GROUP_UNKNOWN", GroupID="ZZ")
    common_id = world.next_installation()
    pair = [Common(world, supplier, identity=common_id).refuse("DUPLICATE_INSTALLATION") for _ in range(2)]
    world.good("mcf-duplicate-installation", s.cgi, [*pair, Common(world, supplier)], "interface 3", root=MCF)
    pair = [Common(world, supplier).refuse("DUPLICATE_DEVICE") for _ in range(2)]
    pair[1].device_id = pair[0].device_id.lower()
    world.good("mcf-duplicate-device", s.cgi, [*pair, Common(world, supplier)], "interface 3", root=MCF)
    invalid = lambda case, entries, **options: s.whole(f"mcf-schema-{case}", "SCHEMA_INVALID", s.cgi, entries, root=MCF, clause="interface 2.3", **options)
    invalid("group-in-header", one(), fields={"GroupID": "CB"})
    invalid("status", one(MeterStatus="Asleep"))
    invalid("status-case", one(MeterStatus="active"))
    invalid("supplier", one(ResponsibleSupplier="70-B3"))
    invalid("no-model", one(edit=lambda text: text.replace("<m:Model>AS300P &lt;v2&gt;</m:Model>", "")))
    invalid("device-type", one(edit=lambda text: text.replace("<m:DeviceType>ESME<", "<m:DeviceType>METER<")))
    invalid("reference-empty", one(DCCRequestReference=""))
    invalid("no-communications-provider", one(CommunicationsProvider=None))
    invalid("no-group", one(GroupID=None))
    invalid("reference-65", one(MeterStatus="Dormant", DCCRequestReference="R" * 65))
    invalid("master-key-inside", one(edit=lambda text: text.replace("</m:Device>", "<m:EncryptedMasterKey/></m:Device>")))
    early = s.early
    mixed("early-dormant", "NOT_ACTIVE", early, "TMAD 4.2", MeterStatus="Dormant")
    mixed("early-mixed", "NOT_ACTIVE", early, "TMAD 4.2", MeterStatus="Mixed", DCCRequestReference="R")
    mixed("early-other-supplier", "NOT_RESPONSIBLE_SUPPLIER", early, "TMAD 4.2", ResponsibleSupplier="90-B3-D5-1F-30-00-00-09")
    mixed("early-mpan", "MPXN_INVALID", early, "TMAD 4.2", MPAN=wrong)


def build_sealed():
    """A gateway that serves the S1SP alone: master keys stay encrypted and go on to the DCO as they are."""
    setting = Setting(roles=("S1SP",))
    world, cgi = setting.world, setting.cgi

    def sealed(case, entries, **options):
        octets = world.good(case, cgi, entries, "interface 3 and 5: passed on undecrypted", **options)
        devices = {}
        root = parse(octets).getroot()
        for device in root.iter(f"{{{M}}}Device"):
            data = device.find("m:EncryptedMasterKey/xenc:EncryptedData", NS)
            if data is not None:
                method = data.find("ds:KeyInfo/ds:RetrievalMethod", NS)
                if method is not None:
                    (named,) = [node for node in root.iter(f"{{{XENC}}}EncryptedKey") if node.get("Id") == method.get("URI")[1:]]
                    method.getparent().replace(method, copy.deepcopy(named))
                devices[device.findtext("m:DeviceID", namespaces=NS).upper()] = c14n(data, True)
        for message in world.cases[-1]["outcomes"][0]["messages"]:
            if message["queue"] == "dco":
                message["sealed_items"] = [
                    {"element": item["element"], "device_id": item["device_id"], "key_identifier": item["key_identifier"], "encrypted_data": b64(devices[item["device_id"]])}
                    for item in message["items"]
                ]
                message["items"] = []

    sealed("sealed-master-keys", [world.installation(cgi, "CB").device().device("GSME", "dco-rsa").s1sp() for _ in range(2)], group="CB")
    sealed("sealed-without-information", [world.installation(cgi).device()])
    cek, entries = os.urandom(32), [world.installation(cgi), world.installation(cgi)]
    for index, entry in enumerate(entries):
        device = world.next_device()
        plain = entry.master_key(device)
        element = Encryption(cek=cek, key_id="" if index else "shared").encrypted_data(plain.encode(), world.register["dco"], "#shared" if index else None)
        entry.device("ESME", "dco", device, plain=plain, element=element)
    sealed("sealed-shared-key", entries)
    expired = world.installation(cgi).device(key="expired").refuse("KEY_EXPIRED")
    scope = world.installation(cgi).device(key="group-aa").refuse("KEY_OUT_OF_SCOPE")
    revoked = world.installation(cgi).device(key="revoked").refuse("KEY_REVOKED")
    sealed("sealed-windows-and-scope-bind", [world.installation(cgi).device(), expired, scope, revoked])
    return world
