//! The JSON as serde takes it; what the values mean is checked in [`super::draft`]. Secrets go into wiped memory as they
//! are read; only a string with escapes passes through a buffer of serde_json's own.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::InputMistake;
use crate::gate::base64;

/// Only `type`, to know what the rest must be.
#[derive(Deserialize)]
struct Typed {
    r#type: Option<String>,
}

/// Either kind of file.
pub(super) enum Input {
    Mgef(File<MgefInstallation>),
    Mcf(File<McfInstallation>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File<I> {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    pub(super) file_id: Option<String>,
    pub(super) counter: Option<u64>,
    pub(super) sender: String,
    pub(super) smso: String,
    pub(super) group_id: Option<String>,
    pub(super) created: Option<String>,
    pub(super) installations: Vec<I>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MgefInstallation {
    pub(super) installation_id: String,
    #[serde(default)]
    pub(super) devices: Vec<MgefDevice>,
    pub(super) s1sp_group_information: Option<S1spGroupInformation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MgefDevice {
    pub(super) device_id: String,
    pub(super) device_type: String,
    pub(super) master_key: Option<MasterKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct S1spGroupInformation {
    pub(super) imsi: Option<Secret>,
    pub(super) static_ip: Option<Secret>,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct McfInstallation {
    pub(super) installation_id: String,
    pub(super) group_id: String,
    pub(super) meter_status: String,
    pub(super) responsible_supplier: String,
    pub(super) mpan: Option<String>,
    pub(super) mprn: Option<String>,
    pub(super) communications_provider: String,
    pub(super) dcc_request_reference: Option<String>,
    #[serde(default)]
    pub(super) devices: Vec<McfDevice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct McfDevice {
    pub(super) device_id: String,
    pub(super) device_type: String,
    pub(super) manufacturer: String,
    pub(super) model: String,
    pub(super) firmware_version: String,
}

/// A text that is wiped when dropped.
pub(super) struct Secret(pub(super) Zeroizing<String>);

/// A master key: base64 or `{"hex": ".."}`. Decoded here, measured in the draft.
pub(super) struct MasterKey(pub(super) Zeroizing<Vec<u8>>);

/// Names and values in their order, a name that stands twice included.
#[derive(Default)]
pub(super) struct Parameters(pub(super) Vec<(String, Secret)>);

/// Reads the JSON.
///
/// # Errors
/// The first thing that does not fit, with its path.
pub(super) fn read(json: &[u8]) -> Result<Input, InputMistake> {
    let typed: Typed = serde_json::from_slice(json).map_err(|error| mistake(json, &error))?;
    match typed.r#type.as_deref() {
        Some("MigrationGroupEncryptedFile") => serde_json::from_slice(json).map(Input::Mgef),
        Some("MigrationCommonFile") => serde_json::from_slice(json).map(Input::Mcf),
        _ => {
            let text = "must be \"MigrationGroupEncryptedFile\" or \"MigrationCommonFile\"".to_owned();
            return Err(InputMistake { path: "type".to_owned(), text });
        }
    }
    .map_err(|error| mistake(json, &error))
}

fn mistake(json: &[u8], error: &serde_json::Error) -> InputMistake {
    let told = error.to_string();
    let text = told.split(" at line ").next().unwrap_or_default().to_owned();
    let text = format!("{text} (line {}, column {})", error.line(), error.column());
    InputMistake { path: path_at(json, error.line(), error.column()), text }
}

/// Where in the JSON the octet just before a position stands, as a path. Where it closes an object or an array, it is
/// that one as a whole.
fn path_at(json: &[u8], line: usize, column: usize) -> String {
    let starts = std::iter::once(0).chain(json.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1));
    let end = (starts.take(line.max(1)).last().unwrap_or(0) + column).min(json.len());
    /// An open object with the key at hand, or an open array with the place at hand.
    enum Open {
        Object(String),
        Array(usize),
    }
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    let mut awaits_key = false;
    while at < end {
        match json[at] {
            b'{' => {
                open.push(Open::Object(String::new()));
                awaits_key = true;
            }
            b'[' => {
                open.push(Open::Array(0));
                awaits_key = false;
            }
            b'}' | b']' => {
                open.pop();
                awaits_key = false;
            }
            b',' => match open.last_mut() {
                Some(Open::Array(place)) => *place += 1,
                _ => awaits_key = true,
            },
            b'"' => {
                let from = at + 1;
                at = from;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                if awaits_key && let Some(Open::Object(key)) = open.last_mut() {
                    *key = String::from_utf8_lossy(&json[from..at.min(json.len())]).into_owned();
                    awaits_key = false;
                }
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::new();
    for part in &open {
        match part {
            Open::Object(key) if key.is_empty() => {}
            Open::Object(key) if path.is_empty() => path.push_str(key),
            Open::Object(key) => path.extend([".", key]),
            Open::Array(place) => path.push_str(&format!("[{place}]")),
        }
    }
    path
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: de::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret(Zeroizing::new(text.to_owned())))
            }
        }
        source.deserialize_str(Text)
    }
}

impl<'de> Deserialize<'de> for MasterKey {
    fn deserialize<D: de::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Key;
        impl<'de> Visitor<'de> for Key {
            type Value = MasterKey;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a key in base64, or {\"hex\": \"..\"}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MasterKey, E> {
                // The text itself never goes into the error.
                base64::decode(text).map(|key| MasterKey(Zeroizing::new(key))).ok_or_else(|| E::custom("is not padded base64"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MasterKey, A::Error> {
                let usage = || de::Error::custom("must be base64 or an object with \"hex\" alone");
                match map.next_key::<String>()?.as_deref() {
                    Some("hex") => {}
                    _ => return Err(usage()),
                }
                let Secret(text) = map.next_value()?;
                let key = hex(&text).ok_or_else(|| de::Error::custom("\"hex\" is not pairs of hexadecimal digits"))?;
                if map.next_key::<String>()?.is_some() { Err(usage()) } else { Ok(MasterKey(key)) }
            }
        }
        source.deserialize_any(Key)
    }
}

fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.as_bytes().chunks(2) {
        let digit = |at: usize| pair.get(at).and_then(|octet| char::from(*octet).to_digit(16));
        octets.push(u8::try_from(digit(0)? << 4 | digit(1)?).ok()?);
    }
    Some(octets)
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: de::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Parameters;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of names and strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Parameters(pairs))
            }
        }
        source.deserialize_map(Pairs)
    }
}
