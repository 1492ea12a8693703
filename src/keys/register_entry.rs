//! Reads one register entry, `register/<key identifier>.toml`, and the key beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files;
use super::passphrase::Opening;
use super::private_key_file::{self, PrivateKeyError};
use super::token::{KeyUri, Token, TokenKey};
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::private_key::PrivateKey;
use crate::gate::public_key::{KeyKind, PublicKey};
use crate::gate::register::{Custody, Entry, Key};
use crate::migration::names::{DeviceType, Element, KeyAlgorithm, KeyState, Role};
use crate::table::{Source, Table, Value};

/// Far more than an entry or a key of any size has.
const MAX_OCTETS: u64 = 1 << 20;

/// What private keys are opened with.
#[derive(Clone, Copy)]
pub(super) struct Secrets<'a> {
    /// Encrypted key files.
    pub(super) opening: Opening<'a>,
    /// The token, or why it can't be used; `None` where none is configured.
    pub(super) token: Option<Result<&'a Arc<Token>, &'a Arc<Fault>>>,
}

/// What an entry's file gave.
pub(super) struct Read {
    /// The identifier that the file's name gives.
    pub(super) named: Option<KeyIdentifier>,
    /// The identifier that the entry itself states, where that could be read.
    pub(super) stated: Option<KeyIdentifier>,
    /// The entry.
    pub(super) entry: Entry,
    /// The files that it was read from besides its own.
    pub(super) files: Vec<PathBuf>,
}

/// The identifier that a file's name gives, in either case.
pub(super) fn named(path: &Path) -> Option<KeyIdentifier> {
    path.file_stem().and_then(|stem| stem.to_str()).and_then(KeyIdentifier::from_hex)
}

/// Reads the entry at `path`. Never fails: what is wrong is part of what was read.
pub(super) fn read(path: &Path, secrets: Secrets<'_>) -> Read {
    let named = named(path);
    let octets = match files::read_public(path, MAX_OCTETS) {
        Ok(octets) => octets,
        Err(fault) => return Read { named, stated: None, entry: Entry::Broken(Arc::new(fault)), files: Vec::new() },
    };
    // What is not UTF-8 becomes a replacement character, which TOML then refuses where it matters; a revocation
    // elsewhere in the file is still seen.
    let text = String::from_utf8_lossy(&octets);
    let source = Source::new(path, &text);
    let values = source.parse();
    let table = source.root(&values);
    let mut fields = Fields::read(&table);
    table.finish();
    if let Some(stated) = &fields.key_identifier
        && path.file_stem().and_then(|stem| stem.to_str()) != Some(&stated.to_string())
    {
        source.add(None, "key_identifier".to_owned(), format!("is {stated}, so the file's name must be {stated}.toml"));
    }
    let stated = fields.key_identifier.clone();
    let revoked = fields.state == Some(KeyState::Revoked) || revoked_by_line(&text);
    let mistakes = source.into_mistakes();
    let files = fields.files(path);
    let entry = match fields.take().filter(|_| mistakes.is_empty()) {
        Some(key) => Entry::Whole(Box::new(with_custody(key, path, &files, secrets))),
        None => {
            let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            let fault = Arc::new(Fault::new("take the register entry", path.display()).because(told.join("; ")));
            if revoked { Entry::Revoked(fault) } else { Entry::Broken(fault) }
        }
    };
    Read { named, stated, entry, files: files.paths() }
}

/// In a file that is not TOML any more, a line of its own that says so is enough to revoke.
fn revoked_by_line(text: &str) -> bool {
    text.lines().any(|line| {
        let Some(rest) = line.trim_start().strip_prefix("state") else { return false };
        let Some(value) = rest.trim_start().strip_prefix('=') else { return false };
        let value = value.trim_start();
        value.starts_with("\"revoked\"") || value.starts_with("'revoked'")
    })
}

/// The fields as far as they could be read.
#[derive(Default)]
struct Fields {
    key_identifier: Option<KeyIdentifier>,
    role: Option<Role>,
    algorithm: Option<KeyAlgorithm>,
    days: Option<(jiff::civil::Date, jiff::civil::Date)>,
    groups: Option<Vec<String>>,
    smsos: Option<Vec<String>>,
    elements: Option<Vec<Element>>,
    device_types: Option<Vec<DeviceType>>,
    state: Option<KeyState>,
    private_key: Option<Named>,
    public_key: Option<String>,
}

/// What an entry names its private key by.
enum Named {
    File(String),
    InToken(KeyUri),
}

/// The keys that an entry names.
struct KeyFiles {
    private: Option<Place>,
    public: Option<PathBuf>,
}

/// Where a private key is.
enum Place {
    File(PathBuf),
    Token(KeyUri),
}

impl KeyFiles {
    fn paths(self) -> Vec<PathBuf> {
        let private = self.private.and_then(|place| match place {
            Place::File(file) => Some(file),
            Place::Token(_) => None,
        });
        private.into_iter().chain(self.public).collect()
    }
}

impl Fields {
    fn read(table: &Table<'_, '_>) -> Self {
        let first_day = table.required("first_day").date();
        let last = table.required("last_day");
        let days = first_day.zip(last.date());
        if let Some((first_day, last_day)) = days
            && last_day < first_day
        {
            last.mistake(format!("is {last_day}, before first_day {first_day}"));
        }
        let any_when_absent = |value: &Value<'_, '_>| !value.is_there();
        let smsos = table.optional("smsos");
        let device_types = table.optional("device_types");
        Self {
            key_identifier: table.required("key_identifier").parsed("16 or 40 hexadecimal digits", KeyIdentifier::from_hex),
            role: table.required("role").word(Role::ALL, Role::as_str),
            algorithm: table.required("algorithm").word(KeyAlgorithm::ALL, KeyAlgorithm::as_str),
            days,
            groups: table.required("groups").list(|value| value.parsed("two capital letters", group)),
            smsos: if any_when_absent(&smsos) {
                Some(Vec::new())
            } else {
                smsos.list(|value| value.parsed("1 to 16 of A-Z a-z 0-9", smso))
            },
            elements: table.required("elements").list(|value| value.word(Element::ALL, Element::as_str)),
            device_types: if any_when_absent(&device_types) {
                Some(Vec::new())
            } else {
                device_types.list(|value| value.word(DeviceType::ALL, DeviceType::as_str))
            },
            state: table.required("state").word(KeyState::ALL, KeyState::as_str),
            private_key: private_key(&table.optional("private_key")),
            public_key: table.optional("public_key").parsed("the name of a file", file_name),
        }
    }

    fn files(&self, path: &Path) -> KeyFiles {
        let folder = path.parent().unwrap_or(Path::new(""));
        KeyFiles {
            private: self.private_key.as_ref().map(|named| match named {
                Named::File(name) => Place::File(folder.join(name)),
                Named::InToken(uri) => Place::Token(uri.clone()),
            }),
            public: self.public_key.as_ref().map(|name| folder.join(name)),
        }
    }

    /// The key, if every field could be read; its custody is yet to be found out.
    fn take(&mut self) -> Option<Key> {
        let (first_day, last_day) = self.days?;
        Some(Key {
            key_identifier: self.key_identifier.take()?,
            role: self.role?,
            algorithm: self.algorithm?,
            first_day,
            last_day,
            groups: self.groups.take()?,
            smsos: self.smsos.take()?,
            elements: self.elements.take()?,
            device_types: self.device_types.take()?,
            state: self.state?,
            public_key: None,
            custody: Custody::Elsewhere,
        })
    }
}

fn group(text: &str) -> Option<String> {
    (text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase())).then(|| text.to_owned())
}

fn smso(text: &str) -> Option<String> {
    ((1..=16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric())).then(|| text.to_owned())
}

fn private_key(value: &Value<'_, '_>) -> Option<Named> {
    let text = value.string()?;
    if !KeyUri::is_meant(text) {
        return value.parsed("the name of a file, or a PKCS#11 URI", file_name).map(Named::File);
    }
    match KeyUri::parse(text) {
        Ok(uri) => Some(Named::InToken(uri)),
        Err(wrong) => {
            value.mistake(format!("is {text:?}, which {wrong}"));
            None
        }
    }
}

fn file_name(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}

fn with_custody(mut key: Key, path: &Path, files: &KeyFiles, secrets: Secrets<'_>) -> Key {
    match load_keys(&key, path, files, secrets) {
        Ok((public_key, private_key)) => {
            key.public_key = public_key;
            key.custody = match private_key {
                Some(Some(private_key)) => Custody::Private(private_key),
                Some(None) => Custody::Locked,
                None => Custody::Elsewhere,
            };
        }
        Err(fault) => key.custody = Custody::Broken(Arc::new(fault)),
    }
    key
}

/// The public half, and the private one where the entry names it: `None` within where it stays encrypted.
type Keys = (Option<PublicKey>, Option<Option<Arc<dyn PrivateKey>>>);

fn load_keys(key: &Key, path: &Path, files: &KeyFiles, secrets: Secrets<'_>) -> Result<Keys, Fault> {
    let field = |name: &str| format!("{} {name}", path.display());
    let of_entry = |name: &str| Fault::new("use the key of the register entry", field(name));
    let private_key: Option<Option<Arc<dyn PrivateKey>>> = match &files.private {
        Some(Place::File(file)) => {
            let pem = files::read_private(file, MAX_OCTETS).map_err(|fault| of_entry("private_key").because(fault))?;
            let fault = || Fault::new("use the private key", file.display());
            match private_key_file::load_private_key(&pem, secrets.opening.passphrase()) {
                Ok(private_key) => {
                    fits(key, private_key.public_key()).map_err(|cause| fault().because(cause))?;
                    Some(Some(private_key))
                }
                Err(PrivateKeyError::NoPassphrase) if secrets.opening.is_unasked() => Some(None),
                Err(error) => return Err(fault().because(error)),
            }
        }
        Some(Place::Token(_)) | None => None,
    };
    let public_key = match &files.public {
        Some(file) => {
            let fault = || Fault::new("use the public key", file.display());
            let pem = files::read_public(file, MAX_OCTETS).map_err(|fault| of_entry("public_key").because(fault))?;
            let public_key = public_key(&pem).ok_or_else(|| fault().because("it holds no P-256, P-384 or RSA public key in PEM"))?;
            fits(key, &public_key).map_err(|cause| fault().because(cause))?;
            if private_key.iter().flatten().any(|private_key| *private_key.public_key() != public_key) {
                return Err(fault().because("it is not the public half of private_key"));
            }
            Some(public_key)
        }
        None => private_key.iter().flatten().map(|private_key| private_key.public_key().clone()).next(),
    };
    let Some(Place::Token(uri)) = &files.private else { return Ok((public_key, private_key)) };
    let private_key = in_token(uri, public_key, secrets).map_err(|fault| of_entry("private_key").because(fault))?;
    fits(key, private_key.public_key()).map_err(|cause| of_entry("private_key").because(cause))?;
    Ok((Some(private_key.public_key().clone()), Some(Some(Arc::new(private_key)))))
}

fn in_token(uri: &KeyUri, public_key: Option<PublicKey>, secrets: Secrets<'_>) -> Result<TokenKey, Fault> {
    match secrets.token {
        Some(Ok(token)) => TokenKey::find(Arc::clone(token), uri.clone(), public_key),
        Some(Err(fault)) => Err(Fault::new("use its key", uri).because(fault.to_string())),
        None => Err(Fault::new("use its key", uri)
            .because("no token is configured")
            .remedy("Add the table [pkcs11] to postern.toml, or name a key file")),
    }
}

fn public_key(pem: &[u8]) -> Option<PublicKey> {
    use rustls_pki_types::pem::PemObject as _;
    PublicKey::from_info(&rustls_pki_types::SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?)
}

/// Whether a key is the one that the entry states: algorithm and size, and the identifier recomputed.
fn fits(key: &Key, found: &PublicKey) -> Result<(), String> {
    let stated = KeyKind::stated_by(key.algorithm);
    if found.kind() != stated {
        return Err(format!("it is {}, the entry's algorithm says {stated}", found.kind()));
    }
    if !key.key_identifier.names(found.subject_public_key()) {
        let computed = if key.key_identifier.as_octets().len() == 8 {
            found.key_identifier()
        } else {
            KeyIdentifier::method_1(found.subject_public_key())
        };
        return Err(format!("its Key Identifier is {computed}, the entry's key_identifier says {}", key.key_identifier));
    }
    Ok(())
}
