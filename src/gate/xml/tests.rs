//! The tokenizer at its limits and at the edges of what it reads at once; tree and canonical forms beyond the samples.

use std::io;

use super::c14n::exclusive;
use super::token::Token;
use super::tokenizer::Tokenizer;
use super::tree::{Shape, Tree};
use super::{Dialect, XmlError};
use crate::gate::limits::XmlLimits;
use crate::gate::source::Source;

/// A source that gives few octets at a time.
struct Dribble<'a>(&'a [u8], usize);

impl Source for Dribble<'_> {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read_at(offset, &mut buffer[..length])
    }
}

/// All tokens as text, and where each stands.
fn tokens(source: &dyn Source, dialect: Dialect) -> Result<Vec<String>, XmlError> {
    let mut tokenizer = Tokenizer::document(source, XmlLimits::PROFILE, dialect);
    let mut found = Vec::new();
    while let Some(token) = tokenizer.next_token()? {
        let mut text = match token {
            Token::Start(tag) => {
                let attributes: Vec<String> =
                    tag.attributes().map(|attribute| format!("{}|{}={}", attribute.uri, attribute.local, attribute.value)).collect();
                let declared: Vec<String> = tag.declarations().map(|(prefix, uri)| format!("{prefix}={uri}")).collect();
                format!("<{}|{}|{} {attributes:?} {declared:?}", tag.prefix(), tag.local(), tag.namespace().0)
            }
            Token::End(prefix, local) => format!("</{prefix}:{local}"),
            Token::Text(text) => format!("'{text}"),
            Token::Comment(text) => format!("!{text}"),
            Token::Instruction(target, data) => format!("?{target} {data}"),
        };
        text.push_str(&format!(" @{}..{}", tokenizer.token_start(), tokenizer.token_end()));
        found.push(text);
    }
    Ok(found)
}

fn taken(document: &str) -> Result<usize, XmlError> {
    tokens(&document.as_bytes(), Dialect::Profile).map(|tokens| tokens.len())
}

fn forbidden(document: &str) -> bool {
    matches!(taken(document), Err(XmlError::Forbidden { .. }))
}

#[test]
fn however_few_octets_come_at_once_the_tokens_are_the_same() {
    let document = "\u{FEFF}<?xml version='1.0' encoding=\"utf-8\"?>\r\n<!-- c --><?pi d a?><r xmlns='urn:r' xmlns:p=\"urn:p\" p:a='1>2'>t\r\n&amp;名\
        <![CDATA[<]]]]><p:e/><e\n>&#x1F600;</e\t><!----></r> <!--x-->\n";
    let whole = tokens(&document.as_bytes(), Dialect::Document).unwrap();
    assert_eq!(whole.len(), 13, "{whole:#?}");
    for at_once in 1..20 {
        assert_eq!(tokens(&Dribble(document.as_bytes(), at_once), Dialect::Document).unwrap(), whole);
    }
    // Long enough for the window to slide and to grow, with what is told apart by two octets across its edges.
    let long = format!("<r>{}</r>", format!("<!--{}--><e a='{}'/>é&amp;\r\n", "c".repeat(70_000), "v".repeat(65_530)).repeat(5));
    let whole = tokens(&long.as_bytes(), Dialect::Profile).unwrap();
    for at_once in [1, 4093, 65_535, 65_537] {
        assert!(tokens(&Dribble(long.as_bytes(), at_once), Dialect::Profile).unwrap() == whole, "{at_once}");
    }
}

#[test]
fn truncated_anywhere_it_is_incomplete() {
    let document = "<?xml version='1.0'?><!--c--><r xmlns:p='urn:p'>t&amp;<p:e a='1'/><!-- --><f></f></r>";
    for length in 0..document.len() {
        let found = taken(&document[..length]);
        assert!(matches!(found, Err(XmlError::Incomplete)), "{}: {found:?}", &document[..length]);
    }
    assert!(taken(document).is_ok());
}

#[test]
fn each_limit_is_where_it_is_said_to_be() {
    let nested = |depth: usize| format!("{}{}", "<e>".repeat(depth), "</e>".repeat(depth));
    assert_eq!(taken(&nested(64)).unwrap(), 128);
    assert!(forbidden(&nested(65)));
    let attributes = |count: usize| format!("<e {}/>", (0..count).map(|at| format!("a{at}='' ")).collect::<String>());
    assert!(taken(&attributes(64)).is_ok());
    assert!(forbidden(&attributes(65)));
    let declarations = |count: usize| format!("<e {}/>", (0..count).map(|at| format!("xmlns:a{at}='urn:a' ")).collect::<String>());
    assert!(taken(&declarations(64)).is_ok());
    assert!(forbidden(&declarations(65)));
    // In scope, not in one tag; those of a closed element no longer count.
    let scoped = |inner: usize| format!("<r xmlns:b='urn:b'>{0}{0}</r>", declarations(inner));
    assert!(taken(&scoped(63)).is_ok());
    assert!(forbidden(&scoped(64)));
    // Declarations do not count as attributes.
    let both = format!("<e {} {}/>", (0..64).map(|at| format!("a{at}='' ")).collect::<String>(), "xmlns:p='urn:p'");
    assert!(taken(&both).is_ok());
}

#[test]
fn a_token_may_have_a_mebibyte_and_no_more() {
    const LIMIT: usize = 1 << 20;
    let text = |length: usize| format!("<r>{}</r>", "t".repeat(length));
    assert!(taken(&text(LIMIT)).is_ok());
    assert!(forbidden(&text(LIMIT + 1)));
    let comment = |length: usize| format!("<r><!--{}--></r>", "c".repeat(length - 4));
    assert!(taken(&comment(LIMIT)).is_ok());
    assert!(forbidden(&comment(LIMIT + 1)));
    let tag = |length: usize| format!("<r a='{}'/>", "v".repeat(length - "<r a=''/".len()));
    assert!(taken(&tag(LIMIT)).is_ok());
    assert!(forbidden(&tag(LIMIT + 1)));
    // However long what never ends is, no more of it is read than that.
    assert!(forbidden(&format!("<r>{}", "t".repeat(3 * LIMIT))));
    assert!(forbidden(&format!("<r a='{}", "v".repeat(3 * LIMIT))));
}

#[test]
fn what_xml_does_not_allow_is_told_from_what_the_profile_does_not() {
    let malformed = [
        "<r></s>",
        "<r/><s/>",
        "t<r/>",
        "<r/>t",
        "<r>]]></r>",
        "<r a='1' a='2'/>",
        "<r a='1'b='2'/>",
        "<r a=1/>",
        "<r a/>",
        "<r>&</r>",
        "<r>&#0;</r>",
        "<r>\u{1}</r>",
        "<r>\u{FFFE}</r>",
        "<1/>",
        "<a:b:c/>",
        "<p:r/>",
        "<r p:a=''/>",
        "<r xmlns:p=''/>",
        "<r xmlns:xml='urn:x'/>",
        "<r xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<r xmlns:a='urn:x' xmlns:b='urn:x' a:k='' b:k=''/>",
        "<r><!-- -- --></r>",
        "<r><!----->",
        "<r a='<'/>",
        "< r/>",
        "<r><?xml version='1.0'?></r>",
        " <?xml version='1.0'?><r/>",
        "<![CDATA[x]]><r/>",
        "<!ELEMENT r ANY><r/>",
        "<r xmlns:a='urn:x' xmlns:a='urn:y'/>",
        "<xmlns:r/>",
        "</r>",
        "<r/ >",
    ];
    for document in malformed {
        let found = taken(document);
        assert!(matches!(found, Err(XmlError::Malformed { .. })), "{document}: {found:?}");
    }
    let not_taken = [
        "<!DOCTYPE r><r/>",
        "<r>&nbsp;</r>",
        "<r><![CDATA[x]]></r>",
        "<?p?><r/>",
        "<?xml version='1.1'?><r/>",
        "<?xml version='1.0' encoding='latin1'?><r/>",
    ];
    for document in not_taken {
        assert!(forbidden(document), "{document}: {:?}", taken(document));
    }
    assert!(matches!(taken(""), Err(XmlError::Incomplete)));
    assert!(matches!(tokens(&b"<r>\xC3\x28</r>".as_slice(), Dialect::Profile), Err(XmlError::Malformed { .. })));
    assert!(matches!(tokens(&b"\xFF\xFE<\0r\0".as_slice(), Dialect::Profile), Err(XmlError::Malformed { .. })));
}

#[test]
fn a_tree_tells_values_from_what_is_none() {
    let document = b"<r xmlns:p='urn:p'><v>a<![CDATA[b]]>c</v><c>a<!---->b</c><i>a<?p?></i><e>a<x/></e> <n p:k='1' k='2'/></r>";
    let document = document.as_slice();
    let tree = Tree::document(&document, XmlLimits::PROFILE, Dialect::Document).unwrap();
    let children: Vec<_> = tree.root().elements().unwrap().collect();
    let texts: Vec<_> = children.iter().map(|child| child.text()).collect();
    assert_eq!(texts, [Ok("abc"), Err(Shape::CommentInText), Err(Shape::CommentInText), Err(Shape::ElementInText), Ok("")]);
    assert_eq!(children[4].attribute("k"), Some("2"));
    assert_eq!(children[3].elements().map(drop).err(), Some(Shape::TextAmongElements));
    assert_eq!(tree.root().descendants().count(), 7);
    let form = String::from_utf8(exclusive(children[4]).unwrap()).unwrap();
    assert_eq!(form, "<n xmlns:p=\"urn:p\" k=\"2\" p:k=\"1\"></n>");
}

#[test]
fn relative_namespace_names_have_no_canonical_form() {
    for (uri, defined) in
        [("urn:a", true), ("a", false), ("../a", false), ("#a", false), ("a/b:c", false), ("1a:b", false), ("a+b-c.d:", true)]
    {
        let document = format!("<r xmlns='{uri}'/>");
        let octets = document.as_bytes();
        let tree = Tree::document(&octets, XmlLimits::PROFILE, Dialect::Profile).unwrap();
        // In the exclusive form only what is visibly used would stand; it is refused all the same.
        assert_eq!(exclusive(tree.root()).is_ok(), defined, "{uri}");
    }
}
