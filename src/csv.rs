//! Comma-separated lists (RFC 4180) as people and spreadsheets make them: read strictly, every mistake with its line and column;
//! written so that no spreadsheet takes a value for a formula.

use std::cell::{Cell, RefCell};
use std::fmt;

use csv::{ByteRecord, ReaderBuilder, Terminator, WriterBuilder};

/// Mistakes of one list that are told; how many more there are is counted.
const MOST_TOLD: usize = 20;
/// Octets of one value.
const MOST_OCTETS: usize = 1024;
/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One mistake in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: u64,
    /// The column's name; none where the mistake is of the whole line.
    pub column: Option<&'static str>,
    /// What is wrong and what would be right, as one sentence without a full stop.
    pub text: String,
}

/// `line 3, Number: is "-1", must be a whole number from 0 to 1000000`.
impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}", self.line)?;
        if let Some(column) = self.column {
            write!(out, ", {column}")?;
        }
        write!(out, ": {}", self.text)
    }
}

/// What is wrong with a list: the first twenty mistakes, in the order of its lines, and how many there are in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    /// The first ones.
    pub first: Vec<Mistake>,
    /// How many there are.
    pub count: usize,
}

impl Mistakes {
    /// Of a list that says nothing.
    pub fn nothing() -> Self {
        Self { first: vec![Mistake { line: 1, column: None, text: "says nothing".to_owned() }], count: 1 }
    }
}

/// One sentence for each mistake.
impl fmt::Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.first.iter().enumerate() {
            write!(out, "{}{mistake}.", if at == 0 { "" } else { " " })?;
        }
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(out, " And {more} more."),
        }
    }
}

/// A list being read, and the mistakes found so far.
#[derive(Debug, Default)]
pub struct Source {
    first: RefCell<Vec<Mistake>>,
    count: Cell<usize>,
    may_be_empty: bool,
}

impl Source {
    /// For a list that may have no line after the columns' names.
    pub fn of_a_list_that_may_be_empty() -> Self {
        Self { may_be_empty: true, ..Self::default() }
    }

    /// Notes a mistake of a line, for what only shows once all lines are read.
    pub fn add(&self, line: u64, column: Option<&'static str>, text: String) {
        self.count.set(self.count.get() + 1);
        let mut first = self.first.borrow_mut();
        if first.len() < MOST_TOLD {
            first.push(Mistake { line, column, text });
        }
    }

    /// Nothing, or every mistake.
    ///
    /// # Errors
    /// There are mistakes.
    pub fn finish(self) -> Result<(), Mistakes> {
        let mut first = self.first.into_inner();
        first.sort_by_key(|mistake| mistake.line);
        if self.count.get() == 0 { Ok(()) } else { Err(Mistakes { first, count: self.count.get() }) }
    }

    /// Reads a list whose first line names these columns, in any order and case, and hands each further line to `each`; empty
    /// lines are passed over. A mistake in one line does not keep the next from being read.
    ///
    /// A byte order mark, CRLF and quoted values are taken; another separator, another encoding, control characters, and lines
    /// with another number of values are mistakes.
    pub fn read(&self, octets: &[u8], columns: &[&'static str], most_rows: u64, each: &mut dyn FnMut(&Row<'_>)) {
        let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
        if octets.starts_with(b"\xFF\xFE") || octets.starts_with(b"\xFE\xFF") {
            return self.add(1, None, "is UTF-16; save the list as CSV UTF-8".to_owned());
        }
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).terminator(Terminator::CRLF).from_reader(octets);
        let mut record = ByteRecord::new();
        let mut order: Option<Vec<usize>> = None;
        let mut rows = 0;
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return self.add(record.position().map_or(1, csv::Position::line), None, format!("can't be read: {error}")),
            }
            let line = record.position().map_or(1, |position| line_of(position, octets));
            match &order {
                None => match self.header(&record, columns, line) {
                    Some(found) => order = Some(found),
                    None => return,
                },
                Some(_) if record.iter().all(<[u8]>::is_empty) => {}
                Some(order) => {
                    rows += 1;
                    if rows > most_rows {
                        return self.add(line, None, format!("is more than the {most_rows} lines that a list may have"));
                    }
                    if record.len() != order.len() {
                        self.add(line, None, format!("has {} values where the columns are {}", record.len(), order.len()));
                        continue;
                    }
                    each(&Row { source: self, line, record: &record, columns, order });
                }
            }
        }
        if order.is_none() {
            self.add(1, None, format!("is missing; the first line must be {}", columns.join(",")));
        } else if rows == 0 && !self.may_be_empty {
            self.add(1, None, "has no line after the columns' names".to_owned());
        }
    }

    /// For each wanted column its place in the record.
    fn header(&self, record: &ByteRecord, columns: &[&'static str], line: u64) -> Option<Vec<usize>> {
        let names: Vec<String> = record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        let same = |name: &str, column: &str| name.eq_ignore_ascii_case(column);
        if let ([only], [_, _, ..]) = (names.as_slice(), columns)
            && let Some(separator) = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")].into_iter().find(|(sign, _)| only.contains(*sign))
        {
            self.add(line, None, format!("separates its columns by {}; save the list with commas between them", separator.1));
            return None;
        }
        let before = self.count.get();
        for (at, name) in names.iter().enumerate() {
            let shown: String = name.chars().filter(|sign| !sign.is_control()).take(64).collect();
            if !columns.iter().any(|column| same(name, column)) {
                self.add(line, None, format!("has a column {shown:?} that is not known; the columns are {}", columns.join(",")));
            } else if names.iter().take(at).any(|other| same(other, name)) {
                self.add(line, None, format!("has the column {shown:?} twice"));
            }
        }
        let mut order = Vec::new();
        for column in columns {
            match names.iter().position(|name| same(name, column)) {
                Some(at) => order.push(at),
                None => self.add(line, None, format!("has no column {column:?}; the columns are {}", columns.join(","))),
            }
        }
        (self.count.get() == before).then_some(order)
    }
}

/// The line that a record begins on. The reader's position is behind the octet that ended the record before: the rest of that line
/// end, and empty lines, stand between.
fn line_of(position: &csv::Position, octets: &[u8]) -> u64 {
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| octets.get(byte..)).unwrap_or_default();
    let ends = rest.iter().take_while(|octet| matches!(octet, b'\r' | b'\n'));
    position.line() + ends.filter(|octet| **octet == b'\n').count() as u64
}

/// One line of a list.
pub struct Row<'s> {
    source: &'s Source,
    /// The line, from 1.
    pub line: u64,
    record: &'s ByteRecord,
    columns: &'s [&'static str],
    order: &'s [usize],
}

impl<'s> Row<'s> {
    /// The value in a column; one that was asked for in [`Source::read`].
    pub fn value(&self, column: &'static str) -> Value<'s> {
        let at = self.columns.iter().position(|known| *known == column);
        let octets = at.and_then(|at| self.order.get(at)).and_then(|at| self.record.get(*at)).unwrap_or_default();
        Value { source: self.source, line: self.line, column, octets }
    }

    /// Notes a mistake of the line as a whole.
    pub fn mistake(&self, text: impl Into<String>) {
        self.source.add(self.line, None, text.into());
    }
}

/// One value of a list, not yet looked at.
#[derive(Clone, Copy)]
pub struct Value<'s> {
    source: &'s Source,
    line: u64,
    column: &'static str,
    octets: &'s [u8],
}

impl Value<'_> {
    /// Notes a mistake of this value.
    pub fn mistake(&self, text: impl Into<String>) {
        self.source.add(self.line, Some(self.column), text.into());
    }

    /// Whether nothing stands there.
    pub fn is_empty(&self) -> bool {
        self.octets.trim_ascii().is_empty()
    }

    /// The value as `parse` takes it, spaces around it left out; else a mistake is noted that says what it must be.
    pub fn parsed<T>(&self, must_be: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.plain()?;
        if text.is_empty() {
            self.mistake(format!("is missing, must be {must_be}"));
            return None;
        }
        let parsed = parse(text);
        if parsed.is_none() {
            let shown: String = text.chars().take(64).collect();
            self.mistake(format!("is {shown:?}, must be {must_be}"));
        }
        parsed
    }

    /// A whole number within these bounds.
    pub fn number(&self, bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let must_be = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        self.parsed(&must_be, |text| text.parse().ok().filter(|number| digits(text) && bounds.contains(number)))
    }

    /// A day, `2026-11-23`.
    pub fn date(&self) -> Option<jiff::civil::Date> {
        let shape = |text: &str| text.len() == 10 && text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'-');
        self.parsed("a day such as 2026-11-23", |text| text.parse().ok().filter(|_| shape(text)))
    }

    /// Text of 1 to `most` characters that no spreadsheet takes for a formula.
    pub fn text(&self, most: usize) -> Option<String> {
        let must_be = format!("1 to {most} characters that do not begin with = + - or @");
        self.parsed(&must_be, |text| (text.chars().count() <= most && !text.starts_with(FORMULA)).then(|| text.to_owned()))
    }

    /// Without the spaces around it, if it is text.
    fn plain(&self) -> Option<&str> {
        if self.octets.len() > MOST_OCTETS {
            self.mistake(format!("is longer than {MOST_OCTETS} octets"));
            return None;
        }
        let Ok(text) = std::str::from_utf8(self.octets) else {
            self.mistake("is not UTF-8; save the list as CSV UTF-8");
            return None;
        };
        let text = text.trim_matches(' ');
        if text.chars().any(char::is_control) {
            self.mistake("has a line break or another control character in it; a quotation mark may be missing");
            return None;
        }
        Some(text)
    }
}

/// The text of a list for people: CRLF, quoted where needed, and what begins like a formula set off by an apostrophe.
///
/// # Errors
/// Never for what is in memory; a line with another number of values than the columns is a mistake of ours.
pub fn written(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<String, crate::fault::Fault> {
    let fault = |why: String| crate::fault::Fault::new("write", "a list").because(why);
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(columns).map_err(|error| fault(error.to_string()))?;
    for row in rows {
        let escaped = row.into_iter().map(|value| if value.starts_with(FORMULA) { format!("'{value}") } else { value });
        writer.write_record(escaped).map_err(|error| fault(error.to_string()))?;
    }
    let octets = writer.into_inner().map_err(|error| fault(error.to_string()))?;
    String::from_utf8(octets).map_err(|error| fault(error.to_string()))
}

#[cfg(test)]
mod tests;
