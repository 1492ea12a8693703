//! What lists may look like.

use super::*;

const COLUMNS: [&str; 3] = ["Name", "Day", "Number"];

fn read(octets: &[u8]) -> Result<Vec<(String, String, u64)>, String> {
    let source = Source::default();
    let mut rows = Vec::new();
    source.read(octets, &COLUMNS, 5, &mut |row| {
        let fields = (row.value("Name").text(8), row.value("Day").date(), row.value("Number").number(0..=100));
        if let (Some(name), Some(day), Some(number)) = fields {
            rows.push((name, day.to_string(), number));
        }
    });
    source.finish().map(|()| rows).map_err(|mistakes| mistakes.to_string())
}

#[test]
fn what_spreadsheets_save_is_taken() {
    let wanted = Ok(vec![("a, \"b\"".to_owned(), "2026-11-23".to_owned(), 7)]);
    for text in [
        "Name,Day,Number\n\"a, \"\"b\"\"\",2026-11-23,7\n",
        "\u{FEFF}Name,Day,Number\r\n\"a, \"\"b\"\"\",2026-11-23,7\r\n",
        "number, DAY ,name\r\n 7 ,2026-11-23,\"a, \"\"b\"\"\"",
        "Name,Day,Number\n\n\"a, \"\"b\"\"\",2026-11-23,007\n,,\n",
    ] {
        assert_eq!(read(text.as_bytes()), wanted, "{text}");
    }
}

#[test]
fn every_mistake_is_told_with_line_and_column() {
    let told = |octets: &[u8]| read(octets).unwrap_err();
    let cases: [(&str, &[u8]); 14] = [
        ("empty", b""),
        ("separator", b"Name;Day;Number\na;2026-11-23;7\n"),
        ("header", b"Name,Dya,Number,Name\n"),
        ("no rows", b"Name,Day,Number\n"),
        ("values", b"Name,Day,Number\na,2026-11-23\n"),
        ("numbers", b"Name,Day,Number\na,2026-11-23,-1\nb,2026-11-23,101\nc,2026-11-23,99999999999999999999999\nd,2026-11-23,\n"),
        ("fractions", b"Name,Day,Number\na,2026-11-23,+1\nb,2026-11-23,1.0\nc,2026-11-23,1e2\n"),
        ("days", b"Name,Day,Number\na,2026-02-30,1\nb,23/11/2026,1\nc,20261123,1\n"),
        ("formula", b"Name,Day,Number\n=A1,2026-11-23,7\n@b,2026-11-23,7\n\"-c\",2026-11-23,7\n"),
        ("quote", b"Name,Day,Number\n\"a,2026-11-23,7\nb,2026-11-23,7\n"),
        ("break", b"Name,Day,Number\n\"a\nb\",2026-11-23,7\n"),
        ("latin 1", b"Name,Day,Number\nM\xFCller,2026-11-23,7\n"),
        ("UTF-16", b"\xFF\xFEN\0a\0"),
        ("too many", b"Name,Day,Number\na,2026-11-23,1\na,2026-11-23,1\na,2026-11-23,1\na,2026-11-23,1\na,2026-11-23,1\na,2026-11-23,1\n"),
    ];
    let all: Vec<String> = cases.iter().map(|(name, octets)| format!("{name}: {}", told(octets))).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    for (end, empty) in [("\n", "\n"), ("\r\n", "\r\n"), ("\r\n", "\n"), ("\n", ",,\n")] {
        let text = format!("Name,Day,Number{end}{empty}a,2026-11-23,7{end}{empty}{empty}b,2026-11-23,x{end}");
        let told = read(text.as_bytes()).unwrap_err();
        assert!(told.starts_with("line 6, Number"), "{end:?} {empty:?}: {told}");
    }
    assert!(read(b"\xEF\xBB\xBFName,Day,Number\r\na,2026-11-23,x\r\n").unwrap_err().starts_with("line 2, Number"));
}

#[test]
fn a_flood_of_mistakes_is_counted() {
    let source = Source::default();
    let text = format!("Name,Day,Number\n{}", "a,b\n".repeat(30));
    source.read(text.as_bytes(), &COLUMNS, 100, &mut |_| {});
    let mistakes = source.finish().unwrap_err();
    assert_eq!((mistakes.first.len(), mistakes.count), (20, 30));
    assert!(mistakes.to_string().ends_with(" And 10 more."));
}

#[test]
fn no_value_is_written_as_a_formula() {
    let row = ["=1+1", "+44", "-1", "@x", "\tx", "a,b", "a\"b", "plain"].map(str::to_owned).to_vec();
    let text = written(&["1", "2", "3", "4", "5", "6", "7", "8"], [row]).unwrap();
    assert_eq!(text, "1,2,3,4,5,6,7,8\r\n'=1+1,'+44,'-1,'@x,'\tx,\"a,b\",\"a\"\"b\",plain\r\n");
}

proptest::proptest! {
    #[test]
    fn invariant_no_octets_make_it_panic(octets: Vec<u8>) {
        let _ = read(&octets);
    }

    #[test]
    fn invariant_what_is_written_is_read(rows in proptest::collection::vec(("[A-Za-z,\" ]{0,6}[a-z]", 0u64..=100), 1..5)) {
        let rows: Vec<(String, String, u64)> =
            rows.into_iter().map(|(name, number)| (name.trim_matches(' ').to_owned(), "2026-11-23".to_owned(), number)).collect();
        let text = written(&COLUMNS, rows.iter().map(|(name, day, number)| vec![name.clone(), day.clone(), number.to_string()])).unwrap();
        proptest::prop_assert_eq!(read(text.as_bytes()), Ok(rows));
    }
}
