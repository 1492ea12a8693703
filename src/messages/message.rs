//! The JSON of a message (interface, section 5), field by field in its order.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::{Sha256, Sha256Hasher};
use crate::gate::verdict::FileKind;
use crate::migration::names::{DeviceType, Element, Queue};

/// What all messages of one file for one queue have in common, written once.
pub struct Envelope {
    /// SHA-256 of what stands before the InstallationID in a message's id.
    id: Sha256Hasher,
    /// The JSON between `message_id` and `installation_id`.
    middle: Vec<u8>,
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
pub(crate) fn message_id(file_sha256: &Sha256, queue: Queue, installation_id: &str) -> Sha256 {
    Sha256::of(format!("{file_sha256}:{queue}:{installation_id}").as_bytes())
}

impl Envelope {
    /// The envelope of a file's messages: for `queue`, from `location`, of a file that arrived at `received_at`, which is
    /// written in whole seconds.
    ///
    /// # Errors
    /// A name cannot be written as JSON.
    pub fn new(queue: Queue, location: &str, received_at: Timestamp, file: &FileFacts<'_>) -> Result<Self, Fault> {
        let mut id = Sha256Hasher::default();
        id.update(format!("{}:{queue}:", file.sha256).as_bytes());
        let mut middle = Vec::new();
        let write = |out: &mut Vec<u8>| -> io::Result<()> {
            out.put(&format!(r#"","queue":"{queue}","location":"#));
            text(out, location)?;
            let received_at = received_at.strftime("%Y-%m-%dT%H:%M:%SZ");
            out.put(&format!(r#","received_at":"{received_at}","file":{{"type":"{}","file_id":"#, file.kind.as_str()));
            text(out, file.file_id)?;
            out.put(&format!(r#","counter":{},"sha256":"{}","sender":"{}","smso":"#, file.counter, file.sha256, file.sender));
            text(out, file.smso)?;
            if let Some(group) = file.group_id {
                out.put(r#","group_id":"#);
                text(out, group)?;
            }
            out.put(r#","created":"#);
            text(out, file.created)?;
            out.put(r#"},"installation_id":"#);
            Ok(())
        };
        write(&mut middle).map_err(|error| Fault::new("write", "the messages of a file").because(error))?;
        Ok(Self { id, middle })
    }

    /// The id of the message for an installation.
    pub fn message_id(&self, installation_id: &str) -> Sha256 {
        let mut id = self.id.clone();
        id.update(installation_id.as_bytes());
        id.finish()
    }

    /// The message for an installation: its JSON, in one buffer that is measured before it is filled. It never grows, so
    /// no plaintext stays behind in memory that was given back, and it is wiped when dropped. `sealed_items` are elements
    /// for another role, still encrypted.
    ///
    /// # Errors
    /// `installation` cannot be written as JSON.
    pub fn message(
        &self,
        installation_id: &str,
        payload: Payload<'_>,
        sealed_items: &[SealedItem<'_>],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let message = Message { envelope: self, id: self.message_id(installation_id).to_string(), installation_id, payload, sealed_items };
        let failed = |error: io::Error| Fault::new("write", format!("the message for installation {installation_id}")).because(error);
        let mut measure = Measure(0);
        message.write(&mut measure).map_err(failed)?;
        let mut json = Zeroizing::new(Vec::with_capacity(measure.0));
        message.write(&mut *json).map_err(failed)?;
        Ok(json)
    }
}

struct Message<'a> {
    envelope: &'a Envelope,
    id: String,
    installation_id: &'a str,
    payload: Payload<'a>,
    sealed_items: &'a [SealedItem<'a>],
}

impl Message<'_> {
    fn write(&self, out: &mut impl Out) -> io::Result<()> {
        out.put(r#"{"schema":"postern.message.v1","message_id":""#);
        out.put(&self.id);
        out.write_all(&self.envelope.middle)?;
        text(out, self.installation_id)?;
        match self.payload {
            Payload::Items(items) => {
                list(out, "items", items, |out, item| {
                    element(out, item.element, item.device_id);
                    out.put(r#","device_type":"#);
                    quoted_or_null(out, item.device_type.map(DeviceType::as_str));
                    octets(out, item.key_identifier, "content", item.content)
                })?;
            }
            Payload::Installation(fields) => {
                out.put(r#","installation":"#);
                serde_json::to_writer(&mut *out, fields)?;
            }
        }
        list(out, "sealed_items", self.sealed_items, |out, item| {
            element(out, item.element, item.device_id);
            octets(out, item.key_identifier, "encrypted_data", item.encrypted_data)
        })?;
        out.put("}");
        Ok(())
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
    fn put(&mut self, text: &str);
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
    fn put(&mut self, text: &str) {
        self.0 += text.len();
    }

    fn base64(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0 += octets.len().div_ceil(3) * 4;
        Ok(())
    }
}

impl Out for Vec<u8> {
    fn put(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

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
    out.put(",\"");
    out.put(name);
    out.put("\":[");
    for (at, value) in values.iter().enumerate() {
        out.put(if at == 0 { "{" } else { ",{" });
        write(out, value)?;
        out.put("}");
    }
    out.put("]");
    Ok(())
}

/// A word of ours, which needs no escapes.
fn quoted_or_null(out: &mut impl Out, word: Option<&str>) {
    match word {
        Some(word) => {
            out.put("\"");
            out.put(word);
            out.put("\"");
        }
        None => out.put("null"),
    }
}

fn element(out: &mut impl Out, element: Element, device: Option<Eui64>) {
    out.put(r#""element":"#);
    quoted_or_null(out, Some(element.as_str()));
    out.put(r#","device_id":"#);
    quoted_or_null(out, device.map(|device| device.to_string()).as_deref());
}

fn octets(out: &mut impl Out, key_identifier: &str, name: &str, octets: &[u8]) -> io::Result<()> {
    out.put(r#","key_identifier":"#);
    text(out, key_identifier)?;
    out.put(",\"");
    out.put(name);
    out.put("\":\"");
    out.base64(octets)?;
    out.put("\"");
    Ok(())
}
