"""Canonical XML by lxml (libxml2), and random documents to compare on: the reference that Postern's own canonicaliser is held against.

    c14n_reference.py serve            requests on standard input, answers on standard output, until the input ends
    c14n_reference.py show FILE...     the four forms of each file, for a person to read
    c14n_reference.py generate SEED    one random document, for a person to read

A frame is a length (four octets, big endian) and that many octets. A request is one letter and one frame; the answer is flushed
before the next request is read, so one process serves thousands of documents:

    C, document       answer: four frames: inclusive Canonical XML 1.0 of the whole document; exclusive of the whole; inclusive and
                      exclusive of the document without the ds:Signature that is the root's last child element (the transform
                      enveloped-signature). All without comments. A form that is refused is the length ff ff ff ff and nothing more.
    G, decimal seed   answer: one frame: the random document of that seed

Refused are: what libxml2 refuses (not well-formed, not namespace-well-formed, over its own limits), and what the profile forbids:
DOCTYPE, processing instruction, CDATA, XML 1.1, an encoding other than UTF-8. The two forms without signature are also refused where
the root's last child element is no ds:Signature. The profile's budgets (depth, attributes, token) are not applied.
"""

import io
import random
import re
import struct
import sys

from lxml import etree

SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
REFUSED = b"\xff\xff\xff\xff"


class Refused(Exception):
    """The document has no canonical form here."""


def parse(octets):
    """The tree of a document that libxml2 and the profile take, else Refused."""
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Refused("UTF-16")
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not UTF-8") from error
    if b"<![CDATA[" in re.sub(rb"<!--.*?-->", b"", octets, flags=re.S):
        raise Refused("CDATA")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=False, huge_tree=True, strip_cdata=False)
    try:
        tree = etree.parse(io.BytesIO(octets), parser)
    except etree.XMLSyntaxError as error:
        raise Refused(str(error)) from error
    # Namespace errors are recoverable to libxml2 and do not always end in an exception.
    if any(entry.level_name != "WARNING" or entry.domain_name == "NAMESPACE" for entry in parser.error_log):
        raise Refused(str(parser.error_log))
    info = tree.docinfo
    if info.internalDTD is not None or info.doctype:
        raise Refused("DOCTYPE")
    if info.xml_version != "1.0":
        raise Refused("XML version")
    declared = re.match(rb"(?:\xef\xbb\xbf)?<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)", octets)
    if declared and declared.group(1).lower() != b"utf-8":
        raise Refused("encoding")
    root = tree.getroot()
    outside = list(root.itersiblings()) + list(root.itersiblings(preceding=True))
    if any(node.tag is etree.ProcessingInstruction for node in [*outside, *root.iter()]):
        raise Refused("processing instruction")
    return tree


def without_signature(tree):
    """Takes the root's last child element away, which must be a ds:Signature; the text around it stays."""
    elements = [child for child in tree.getroot() if isinstance(child.tag, str)]
    if not elements or elements[-1].tag != SIGNATURE:
        raise Refused("the root's last child element is no ds:Signature")
    signature = elements[-1]
    parent, before = signature.getparent(), signature.getprevious()
    if signature.tail:
        if before is None:
            parent.text = (parent.text or "") + signature.tail
        else:
            before.tail = (before.tail or "") + signature.tail
        signature.tail = None
    parent.remove(signature)
    return tree


def canonical(tree, exclusive):
    """The canonical octets of a whole tree, without comments."""
    out = io.BytesIO()
    try:
        tree.write_c14n(out, exclusive=exclusive, with_comments=False)
    except etree.C14NError as error:
        raise Refused(str(error)) from error
    return out.getvalue()


def forms(octets):
    """The four forms in the protocol's order; None where refused."""
    answers = []
    for enveloped in (False, True):
        for exclusive in (False, True):
            try:
                tree = parse(octets)
                answers.append(canonical(without_signature(tree) if enveloped else tree, exclusive))
            except Refused:
                answers.append(None)
    return answers


# Random documents. Every namespace name is an absolute URI: Canonical XML 1.0 leaves relative ones undefined, and libxml2 refuses both
# those and names that are no URI (a space, a letter outside ASCII), which Namespaces in XML 1.0 allows.
PREFIXES = ["", "", "a", "b", "c", "ds", "m", "é", "A-1.x"]
NAMES = ["urn:one", "urn:two", "http://example.invalid/Three", "http://example.invalid/?a=1&amp;b=2", "urn:o&#110;e", "URN:ONE", "urn:%C3%A9"]
LOCALS = ["e", "Device", "x-y", "_u", "ü", "f.g", "名", "e1", "E"]
ATTRIBUTES = ["k", "Id", "z", "a", "B", "é", "n-1", "type"]
TEXTS = [
    "plain", " ", "\n  ", "\t", "\r\n", "\r", "\r\r\n", "&#13;", "&#xD;\n", "&#9;", "&#10;", "&amp;", "&lt;", "&gt;", ">", "&quot;", "&apos;", "\"", "'",
    "é", "名前", "&#233;", "&#x1F600;", "😀", "]]&gt;", "&#x9;&#xA;&#x20;", "\u0085", "\u2028", "\u00a0", "\ufeff", "\u007f", "&#38;lt;", "&#60;",
]
VALUES = [text for text in TEXTS if text not in ("\"",)]
COMMENTS = ["", " note ", "<not> & markup", "\r\n", " - - ", "é"]


class Generator:
    """One random document from one seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.left = self.random.choice([3, 10, 30, 80])

    def document(self):
        pick = self.random
        head = pick.choice(["", "", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-8"?>\n', "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\r\n"])
        if pick.random() < 0.1:
            head = "\ufeff" + head
        before = self.space() + (self.comment() + self.space() if pick.random() < 0.3 else "")
        after = self.space() + (self.comment() + self.space() if pick.random() < 0.3 else "")
        if not head.replace("\ufeff", ""):
            before = before.lstrip()
        return (head + before + self.element({"": "", "xml": "http://www.w3.org/XML/1998/namespace"}, 0) + after).encode("utf-8")

    def space(self):
        return self.random.choice(["", "", "\n", " ", "\r\n\t"])

    def comment(self):
        return "<!--" + self.random.choice(COMMENTS) + "-->"

    def text(self):
        return "".join(self.random.choice(TEXTS) for _ in range(self.random.choice([0, 1, 1, 2, 5])))

    def quoted(self, value):
        if '"' in value or ("'" not in value and self.random.random() < 0.3):
            return "'" + value.replace("'", "&#39;") + "'"
        return '"' + value.replace('"', "&#34;") + '"'

    def gap(self):
        return self.random.choice([" ", " ", " ", "\n", "\t", "  ", "\r\n"])

    def element(self, scope, depth, fixed=None):
        pick = self.random
        self.left -= 1
        scope = dict(scope)
        declarations = {}
        for _ in range(pick.choice([0, 0, 0, 1, 1, 2, 4] if depth else [1, 2, 3, 5])):
            prefix = pick.choice(PREFIXES)
            declarations[prefix] = "" if prefix == "" and pick.random() < 0.4 else pick.choice(NAMES)
        if pick.random() < 0.2 and scope:
            again = pick.choice([prefix for prefix in scope if prefix != "xml"])
            declarations[again] = scope[again]  # the same declaration once more: superfluous, and dropped by both forms
        if pick.random() < 0.03:
            declarations["xml"] = "http://www.w3.org/XML/1998/namespace"
        if fixed:
            declarations[fixed[0]] = "http://www.w3.org/2000/09/xmldsig#"
        scope.update(declarations)
        usable = [prefix for prefix in scope if prefix != "xml"]
        prefix, local = fixed or (pick.choice(usable), pick.choice(LOCALS))
        name = f"{prefix}:{local}" if prefix else local

        written = [(f"xmlns:{p}" if p else "xmlns", value) for p, value in declarations.items()]
        taken = set()
        for _ in range(pick.choice([0, 0, 1, 2, 3, 6])):
            p = pick.choice(["", ""] + usable)
            attribute = pick.choice(ATTRIBUTES)
            expanded = (self.expanded(scope[p]) if p else "", attribute)
            if expanded not in taken:
                taken.add(expanded)
                written.append((f"{p}:{attribute}" if p else attribute, "".join(pick.choice(VALUES) for _ in range(pick.choice([0, 1, 2, 4])))))
        for attribute, values in (("xml:lang", ["en", "", "de-CH"]), ("xml:space", ["preserve", "default"]), ("xml:base", ["http://example.invalid/"])):
            if pick.random() < 0.06:
                written.append((attribute, pick.choice(values)))
        pick.shuffle(written)
        start = "<" + name + "".join(f"{self.gap()}{key}{pick.choice(['=', '=', ' = '])}{self.quoted(value)}" for key, value in written) + pick.choice(["", "", " ", "\n"])

        content = []
        if fixed:
            content.append(self.text())
        else:
            while self.left > 0 and depth < 12 and pick.random() < 0.75:
                content.append(pick.choice([self.text, self.comment, lambda: self.element(scope, depth + 1), lambda: self.element(scope, depth + 1)])())
            content.append(self.text())
            if depth == 0 and pick.random() < 0.6:
                content.append(self.element(scope, 1, fixed=(pick.choice(["ds", "", "sig"]), "Signature")))
                content.append(pick.choice(["", "\n", self.text(), self.comment() + "\n"]))
        inside = "".join(content)
        if not inside and pick.random() < 0.7:
            return start + "/>"
        return start + ">" + inside + f"</{name}{pick.choice(['', '', ' '])}>"

    @staticmethod
    def expanded(value):
        return value.replace("&#110;", "n")


def generate(seed):
    """The random document of a seed; well-formed, and taken by libxml2."""
    return Generator(seed).document()


def read_frame(stream):
    length = struct.unpack(">I", stream.read(4))[0]
    return stream.read(length)


def serve(requests, answers):
    while kind := requests.read(1):
        payload = read_frame(requests)
        if kind == b"G":
            document = generate(int(payload))
            answers.write(struct.pack(">I", len(document)) + document)
        elif kind == b"C":
            for form in forms(payload):
                answers.write(REFUSED if form is None else struct.pack(">I", len(form)) + form)
        else:
            raise SystemExit(f"unknown request {kind!r}")
        answers.flush()


def main(arguments):
    if arguments == ["serve"]:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    elif len(arguments) == 2 and arguments[0] == "generate":
        sys.stdout.buffer.write(generate(int(arguments[1])))
    elif len(arguments) >= 2 and arguments[0] == "show":
        for name in arguments[1:]:
            with open(name, "rb") as file:
                shown = forms(file.read())
            for label, form in zip(("inclusive", "exclusive", "inclusive, no signature", "exclusive, no signature"), shown):
                print(f"== {name}: {label}: {'refused' if form is None else f'{len(form)} octets'}")
                if form is not None:
                    print(form.decode("utf-8"))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
