//! Reads TOML tables for people: every mistake of a file at once, each with its line, and for an unknown key the
//! nearest known one. serde stops at the first mistake and knows no neighbours, so this stands in its place.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One mistake in a TOML file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file it stands in.
    pub file: PathBuf,
    /// The line, from 1; none where the mistake is of the file as a whole.
    pub line: Option<usize>,
    /// The table and key it is about: `[gateway] roles`.
    pub place: String,
    /// What is wrong and what would be right, as one sentence without a full stop.
    pub text: String,
}

/// `FILE:LINE: PLACE: TEXT`.
impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(out, "{line}:")?;
        }
        if !self.place.is_empty() {
            write!(out, " {}:", self.place)?;
        }
        write!(out, " {}", self.text)
    }
}

impl std::error::Error for Mistake {}

/// A file being read, and the mistakes found so far.
pub(crate) struct Source<'t> {
    file: &'t Path,
    text: &'t str,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(file: &'t Path, text: &'t str) -> Self {
        Self { file, text, mistakes: RefCell::default() }
    }

    /// The root table. A text that is not TOML gives its syntax mistakes and whatever could still be read.
    pub(crate) fn parse(&self) -> DeTable<'t> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let line = error.span().map(|span| self.line(span.start));
            self.add(line, String::new(), format!("not TOML: {}", error.message().replace('\n', ", ")));
        }
        root.into_inner()
    }

    /// A reader of the root table.
    pub(crate) fn root<'s>(&'s self, values: &'s DeTable<'t>) -> Table<'s, 't> {
        Table { source: self, name: String::new(), line: None, values, known: RefCell::default() }
    }

    pub(crate) fn add(&self, line: Option<usize>, place: String, text: String) {
        self.mistakes.borrow_mut().push(Mistake { file: self.file.to_owned(), line, place, text });
    }

    /// Every mistake, in the order of the file's lines; those of the whole file last.
    pub(crate) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
        mistakes
    }

    fn line(&self, offset: usize) -> usize {
        self.text.as_bytes().iter().take(offset).filter(|octet| **octet == b'\n').count() + 1
    }
}

/// One table; it remembers which keys were asked for, so that [`Table::finish`] can name the others.
pub(crate) struct Table<'s, 't> {
    source: &'s Source<'t>,
    name: String,
    line: Option<usize>,
    values: &'s DeTable<'t>,
    known: RefCell<Vec<&'static str>>,
}

impl<'s, 't> Table<'s, 't> {
    /// The value of a key that may be absent.
    pub(crate) fn optional(&self, key: &'static str) -> Value<'s, 't> {
        self.known.borrow_mut().push(key);
        let value = self.values.get(key);
        let line = value.map(|value| self.source.line(value.span().start)).or(self.line);
        Value { source: self.source, place: self.place(key), line, value }
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, key: &'static str) -> Value<'s, 't> {
        let value = self.optional(key);
        if value.value.is_none() {
            value.mistake("is missing");
        }
        value
    }

    /// The same table under a name that people recognise: `[[location]] "cgi-live"`.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = format!("{} \"{name}\"", self.name);
        self
    }

    /// Notes a mistake of the table as a whole.
    pub(crate) fn mistake(&self, text: impl Into<String>) {
        self.source.add(self.line, self.name.clone(), text.into());
    }

    /// Names every key that nothing asked for.
    pub(crate) fn finish(self) {
        let known = self.known.borrow();
        for key in self.values.keys() {
            let word: &str = key.get_ref();
            if known.contains(&word) {
                continue;
            }
            let hint = match nearest(word, known.iter().copied()) {
                Some(near) => format!("the nearest known key is \"{near}\""),
                None => format!("known keys are {}", quoted(known.iter().copied())),
            };
            let place = if self.name.is_empty() { "top level" } else { &self.name };
            let line = Some(self.source.line(key.span().start));
            self.source.add(line, place.to_owned(), format!("unknown key \"{word}\"; {hint}"));
        }
    }

    fn place(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{} {key}", self.name) }
    }
}

/// The value of one key, or of one element of an array. Every reading gives `None` for what is absent, and for what
/// is wrong once the mistake is noted.
pub(crate) struct Value<'s, 't> {
    source: &'s Source<'t>,
    place: String,
    line: Option<usize>,
    value: Option<&'s Spanned<DeValue<'t>>>,
}

impl<'s, 't> Value<'s, 't> {
    pub(crate) fn is_there(&self) -> bool {
        self.value.is_some()
    }

    pub(crate) fn line(&self) -> Option<usize> {
        self.line
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn mistake(&self, text: impl Into<String>) {
        self.source.add(self.line, self.place.clone(), text.into());
    }

    pub(crate) fn string(&self) -> Option<&'s str> {
        match self.value?.get_ref() {
            DeValue::String(text) => Some(text),
            other => self.wrong_type("a string", other),
        }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match self.value?.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.wrong_type("true or false", other),
        }
    }

    pub(crate) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let integer = match self.value?.get_ref() {
            DeValue::Integer(integer) => integer,
            other => return self.wrong_type("a whole number", other),
        };
        let number = i128::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok();
        let number = number.and_then(|number| u64::try_from(number).ok()).filter(|number| range.contains(number));
        if number.is_none() {
            self.mistake(format!("is {}, must be {} to {}", integer.as_str(), range.start(), range.end()));
        }
        number
    }

    /// A TOML date, or a string of the same form.
    pub(crate) fn date(&self) -> Option<Date> {
        let text = match self.value?.get_ref() {
            DeValue::Datetime(moment) => moment.to_string(),
            DeValue::String(text) => text.to_string(),
            other => return self.wrong_type("a date such as 2026-11-01", other),
        };
        let date = Some(&text).filter(|text| text.len() == 10).and_then(|text| text.parse().ok());
        if date.is_none() {
            self.mistake(format!("is \"{text}\", must be a date such as 2026-11-01"));
        }
        date
    }

    /// A string that `read` understands; `wanted` says what it must be.
    pub(crate) fn parsed<T>(&self, wanted: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.string()?;
        let value = read(text);
        if value.is_none() {
            self.mistake(format!("is {text:?}, must be {wanted}"));
        }
        value
    }

    /// One word of a closed vocabulary.
    pub(crate) fn word<T: Copy>(&self, all: &[T], as_str: fn(T) -> &'static str) -> Option<T> {
        let words = || all.iter().map(|value| as_str(*value));
        let text = self.string()?;
        let value = all.iter().copied().find(|value| as_str(*value) == text);
        if value.is_none() {
            let near = nearest(text, words()).map(|near| format!("; the nearest is \"{near}\"")).unwrap_or_default();
            self.mistake(format!("is {text:?}, must be one of {}{near}", quoted(words())));
        }
        value
    }

    /// An array, each element read by `read`.
    pub(crate) fn list<T>(&self, mut read: impl FnMut(&Value<'s, 't>) -> Option<T>) -> Option<Vec<T>> {
        let array = match self.value?.get_ref() {
            DeValue::Array(array) => array,
            other => return self.wrong_type("an array", other),
        };
        let elements = array.iter().map(|element| Value {
            source: self.source,
            place: self.place.clone(),
            line: Some(self.source.line(element.span().start)),
            value: Some(element),
        });
        // Every element is read, so that every mistake is found, before one that failed spoils the list.
        let read: Vec<Option<T>> = elements.map(|element| read(&element)).collect();
        read.into_iter().collect()
    }

    pub(crate) fn table(&self) -> Option<Table<'s, 't>> {
        match self.value?.get_ref() {
            DeValue::Table(values) => {
                let name = format!("[{}]", self.place);
                Some(Table { source: self.source, name, line: self.line, values, known: RefCell::default() })
            }
            other => self.wrong_type("a table", other),
        }
    }

    /// An element of a list as a table: `[[location]]`, or an inline table of a key.
    pub(crate) fn element_table(&self) -> Option<Table<'s, 't>> {
        let mut table = self.table()?;
        table.name = if self.place.contains(' ') { self.place.clone() } else { format!("[[{}]]", self.place) };
        Some(table)
    }

    fn wrong_type<T>(&self, wanted: &str, found: &DeValue<'_>) -> Option<T> {
        self.mistake(format!("is of type {}, must be {wanted}", found.type_str()));
        None
    }
}

/// The known word nearest to `word`, if it is near enough to be meant.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let near = known.map(|known| (edits(&lower, &known.to_lowercase()), known)).min_by_key(|(edits, _)| *edits)?;
    (near.0 <= near.1.len().max(word.len()).div_ceil(2)).then_some(near.1)
}

/// The least number of characters to insert, delete or replace (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (down, character) in one.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = down + 1;
        for (across, against) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *against);
            diagonal = row[across + 1];
            row[across + 1] = replaced.min(diagonal + 1).min(row[across] + 1);
        }
    }
    row[other.len()]
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_near_or_nothing() {
        let known = ["inbound", "outbound", "sender"];
        assert_eq!(nearest("in_bound", known.into_iter()), Some("inbound"));
        assert_eq!(nearest("Sender", known.into_iter()), Some("sender"));
        assert_eq!(nearest("xyzzy", known.into_iter()), None);
    }

    #[test]
    fn a_syntax_mistake_does_not_hide_the_others() {
        let source = Source::new(Path::new("x.toml"), "a = 1\nb = = 2\nc = 3\n");
        let values = source.parse();
        let table = source.root(&values);
        assert_eq!(table.optional("a").integer(0..=9), Some(1));
        assert_eq!(table.optional("c").integer(0..=2), None);
        table.finish();
        let mistakes: Vec<String> = source.into_mistakes().iter().map(ToString::to_string).collect();
        assert!(mistakes.iter().any(|text| text.starts_with("x.toml:2: not TOML")), "{mistakes:?}");
        assert!(mistakes.iter().any(|text| text == "x.toml:3: c: is 3, must be 0 to 2"), "{mistakes:?}");
    }
}
