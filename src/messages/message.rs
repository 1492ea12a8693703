//! The JSON of a message (interface, section 5), field by field in its order.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::verdict::FileKind;
use crate::migration::names::{DeviceType, Element, Queue};

/// One message: what one queue's consumer gets of one installation.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// The queue.
    pub queue: Queue,
    /// The location's name.
    pub location: &'a str,
    /// The file's arrival; written in whole seconds.
    pub received_at: Timestamp,
    /// The file it comes from.
    pub file: FileFacts<'a>,
    /// InstallationID.
    pub installation_id: &'a str,
    /// What is handed over.
    pub payload: Payload<'a>,
    /// Elements for another role, still encrypted.
    pub sealed_items: &'a [SealedItem<'a>],
}

/// The file's header as a message repeats it.
#[derive(Debug, Clone, Copy)]
pub struct FileFacts<'a> {
    /// The root element.
    pub kind: FileKind,
    /// FileID.
    pub file_id: &'a str,
    /// Counter.
    pub counter: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// Sender.
    pub sender: Eui64,
    /// SMSO.
    pub smso: &'a str,
    /// GroupID of the header; a Migration Common File has none there, and its message has no `group_id`.
    pub group_id: Option<&'a str>,
    /// Created, as it stands in the file.
    pub created: &'a str,
}

/// What a message hands over.
#[derive(Clone, Copy)]
pub enum Payload<'a> {
    /// Decrypted elements (`items`).
    Items(&'a [Item<'a>]),
    /// The parsed fields of a Migration Common File's installation (`installation`).
    Installation(&'a serde_json::Value),
}

/// One decrypted element.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// Which element.
    pub element: Element,
    /// The device it stood at; none for an element of the installation.
    pub device_id: Option<Eui64>,
    /// That device's type.
    pub device_type: Option<DeviceType>,
    /// Key Identifier, upper-case hex.
    pub key_identifier: &'a str,
    /// The plaintext element's octets.
    pub content: &'a [u8],
}

/// One element that is passed on as it came.
#[derive(Debug, Clone, Copy)]
pub struct SealedItem<'a> {
    /// Which element.
    pub element: Element,
    /// The device it stood at; none for an element of the installation.
    pub device_id: Option<Eui64>,
    /// Key Identifier, upper-case hex.
    pub key_identifier: &'a str,
    /// The exclusive C14N of the EncryptedData.
    pub encrypted_data: &'a [u8],
}

/// SHA-256 of `<sha256 of the file, hex>:<queue>:<InstallationID>`: the same for every delivery.
pub fn message_id(file_sha256: &Sha256, queue: Queue, installation_id: &str) -> Sha256 {
    Sha256::of(format!("{file_sha256}:{queue}:{installation_id}").as_bytes())
}

impl Message<'_> {
    /// The message's id.
    pub fn id(&self) -> Sha256 {
        message_id(&self.file.sha256, self.queue, self.installation_id)
    }

    /// The JSON, in one buffer that is measured before it is filled: it never grows, so no plaintext stays behind in
    /// memory that was given back, and it is wiped when dropped.
    ///
    /// # Errors
    /// `installation` cannot be written as JSON.
    pub fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let failed =
            |error: io::Error| Fault::new("write", format!("the message for installation {}", self.installation_id)).because(error);
        let mut measure = Measure(0);
        self.write(&mut measure).map_err(failed)?;
        let mut json = Zeroizing::new(Vec::with_capacity(measure.0));
        self.write(&mut *json).map_err(failed)?;
        Ok(json)
    }

    fn write(&self, out: &mut impl Out) -> io::Result<()> {
        let file = &self.file;
        write!(out, r#"{{"schema":"postern.message.v1","message_id":"{}","queue":"{}","location":"#, self.id(), self.queue)?;
        text(out, self.location)?;
        write!(
            out,
            r#","received_at":"{}","file":{{"type":"{}","file_id":"#,
            self.received_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            file.kind.root()
        )?;
        text(out, file.file_id)?;
        write!(out, r#","counter":{},"sha256":"{}","sender":"{}","smso":"#, file.counter, file.sha256, file.sender)?;
        text(out, file.smso)?;
        if let Some(group) = file.group_id {
            out.write_all(br#","group_id":"#)?;
            text(out, group)?;
        }
        out.write_all(br#","created":"#)?;
        text(out, file.created)?;
        out.write_all(br#"},"installation_id":"#)?;
        text(out, self.installation_id)?;
        match self.payload {
            Payload::Items(items) => {
                list(out, "items", items, |out, item| {
                    element(out, item.element, item.device_id)?;
                    match item.device_type {
                        Some(device_type) => write!(out, r#","device_type":"{device_type}""#)?,
                        None => out.write_all(br#","device_type":null"#)?,
                    }
                    octets(out, item.key_identifier, "content", item.content)
                })?;
            }
            Payload::Installation(fields) => {
                out.write_all(br#","installation":"#)?;
                serde_json::to_writer(&mut *out, fields)?;
            }
        }
        list(out, "sealed_items", self.sealed_items, |out, item| {
            element(out, item.element, item.device_id)?;
            octets(out, item.key_identifier, "encrypted_data", item.encrypted_data)
        })?;
        out.write_all(b"}")
    }
}

/// Secrets stay out of what `{:?}` prints.
impl std::fmt::Debug for Payload<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Payload::Items(items) => write!(out, "{} items", items.len()),
            Payload::Installation(_) => out.write_str("an installation"),
        }
    }
}

/// Secrets stay out of what `{:?}` prints.
impl std::fmt::Debug for Item<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Item({}, {} octets)", self.element, self.content.len())
    }
}

/// Where JSON goes: a measure first, then the buffer of that size.
trait Out: io::Write {
    fn base64(&mut self, octets: &[u8]) -> io::Result<()>;
}

struct Measure(usize);

impl io::Write for Measure {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0 += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Out for Measure {
    fn base64(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0 += octets.len().div_ceil(3) * 4;
        Ok(())
    }
}

impl Out for Vec<u8> {
    fn base64(&mut self, octets: &[u8]) -> io::Result<()> {
        let start = self.len();
        self.resize(start + octets.len().div_ceil(3) * 4, 0);
        STANDARD.encode_slice(octets, &mut self[start..]).map_err(io::Error::other)?;
        Ok(())
    }
}

fn text(out: &mut impl Out, value: &str) -> io::Result<()> {
    Ok(serde_json::to_writer(out, value)?)
}

fn list<O: Out, T>(out: &mut O, name: &str, values: &[T], write: impl Fn(&mut O, &T) -> io::Result<()>) -> io::Result<()> {
    write!(out, r#","{name}":["#)?;
    for (at, value) in values.iter().enumerate() {
        out.write_all(if at == 0 { b"{" } else { b",{" })?;
        write(out, value)?;
        out.write_all(b"}")?;
    }
    out.write_all(b"]")
}

fn element(out: &mut impl Out, element: Element, device: Option<Eui64>) -> io::Result<()> {
    write!(out, r#""element":"{element}","device_id":"#)?;
    match device {
        Some(device) => write!(out, r#""{device}""#),
        None => out.write_all(b"null"),
    }
}

fn octets(out: &mut impl Out, key_identifier: &str, name: &str, octets: &[u8]) -> io::Result<()> {
    out.write_all(br#","key_identifier":"#)?;
    text(out, key_identifier)?;
    write!(out, r#","{name}":""#)?;
    out.base64(octets)?;
    out.write_all(b"\"")
}
