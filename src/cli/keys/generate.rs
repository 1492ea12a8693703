//! `postern keys generate`: a new key, proposed; it decrypts nothing until it is approved.

use std::io::Write;

use jiff::civil::Date;
use jiff::{Timestamp, Unit};
use serde_json::json;

use super::super::configured::unwritten;
use super::super::officers::decide::{Signing, decide, key_subject, objection};
use super::super::{Status, say};
use crate::fault::Fault;
use crate::gate::coverage::active;
use crate::gate::register::Key;
use crate::keys::{NewEntry, Passphrase, Written};
use crate::migration::names::{DeviceType, Element, KeyAlgorithm, KeyState, Role};
use crate::officers::Act;
use crate::shell::config::Config;
use crate::shell::key_coverage::of_keys;
use crate::shell::known::Known;
use crate::shell::rule;
use crate::shell::unlock::unlock_for_new_key;

/// Arguments of `keys generate`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
  postern keys generate --role DCO --group CA,CB --elements EncryptedMasterKey --first-day 2026-12-01 --last-day 2026-12-31
  postern keys generate --role S1SP --group CB --smso CGI --first-day 2026-12-01 --last-day 2026-12-31

The key is made here and written into keys/register, encrypted where a passphrase is configured. It is *proposed*:
elements under it are refused until it is approved. Windows may overlap; days that stay without a key are told.

Exit status 0 made, 1 it can't be written, 2 wrong usage.")]
pub struct Args {
    /// Whose key: DCO or S1SP
    #[arg(long, value_parser = role)]
    role: Role,
    /// GroupID; several by commas, or stated several times
    #[arg(long, value_delimiter = ',', required = true, value_name = "ID", value_parser = group)]
    group: Vec<String>,
    /// Elements it is for [default: the role's]
    #[arg(long, value_delimiter = ',', value_name = "ELEMENT", value_parser = element)]
    elements: Vec<Element>,
    /// First day of use, inclusive
    #[arg(long, value_name = "DATE")]
    first_day: Date,
    /// Last day of use, inclusive
    #[arg(long, value_name = "DATE")]
    last_day: Date,
    /// SMSOs it is for [default: any]
    #[arg(long, value_delimiter = ',', value_name = "SMSO", value_parser = smso)]
    smso: Vec<String>,
    /// Device types it is for [default: any]
    #[arg(long, value_delimiter = ',', value_name = "TYPE", value_parser = device_type)]
    device_types: Vec<DeviceType>,
    /// P-256, P-384, RSA-3072 or RSA-4096
    #[arg(long, default_value = "P-256", value_parser = algorithm)]
    algorithm: KeyAlgorithm,
    /// Make it in the token of `[pkcs11]`, which it never leaves
    #[arg(long)]
    hsm: bool,
    #[command(flatten)]
    signing: Signing,
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_word(text).ok_or_else(|| one_of(Role::ALL))
}

fn element(text: &str) -> Result<Element, String> {
    Element::from_word(text).ok_or_else(|| one_of(Element::ALL))
}

fn device_type(text: &str) -> Result<DeviceType, String> {
    DeviceType::from_word(text).ok_or_else(|| one_of(DeviceType::ALL))
}

fn algorithm(text: &str) -> Result<KeyAlgorithm, String> {
    // RSA-2048 is taken where it is in use; none is made any more.
    const NEW: &[KeyAlgorithm] = &[KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa3072, KeyAlgorithm::Rsa4096];
    KeyAlgorithm::from_word(text).filter(|algorithm| NEW.contains(algorithm)).ok_or_else(|| one_of(NEW))
}

fn one_of<T: std::fmt::Display>(words: &[T]) -> String {
    format!("it must be one of {}", words.iter().map(T::to_string).collect::<Vec<_>>().join(", "))
}

pub(in crate::cli) fn group(text: &str) -> Result<String, String> {
    let fits = text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_uppercase());
    fits.then(|| text.to_owned()).ok_or_else(|| "a GroupID is two capital letters".to_owned())
}

pub(in crate::cli) fn smso(text: &str) -> Result<String, String> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric());
    fits.then(|| text.to_owned()).ok_or_else(|| "an SMSO is 1 to 16 of A-Z a-z 0-9".to_owned())
}

impl Args {
    fn entry(&self) -> NewEntry {
        let of_role = || Element::ALL.iter().copied().filter(|element| element.role() == self.role).collect();
        NewEntry {
            role: self.role,
            algorithm: self.algorithm,
            first_day: self.first_day,
            last_day: self.last_day,
            groups: once(&self.group),
            smsos: once(&self.smso),
            elements: if self.elements.is_empty() { of_role() } else { once(&self.elements) },
            device_types: once(&self.device_types),
        }
    }
}

fn once<T: Clone + PartialEq>(words: &[T]) -> Vec<T> {
    let mut found: Vec<T> = Vec::new();
    for word in words {
        if !found.contains(word) {
            found.push(word.clone());
        }
    }
    found
}

/// Makes a key. Exit status 2 where what is asked for makes no sense, with every reason.
///
/// # Errors
/// The passphrase can't be had, the register can't be written, or standard output.
pub fn generate(config: &mut Config, args: &Args, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let entry = args.entry();
    let today = config.gateway.time_zone.to_datetime(Timestamp::now()).date();
    let mistakes = mistakes(config, &entry, today);
    if !mistakes.is_empty() {
        for mistake in mistakes {
            say(format_args!("{mistake}"));
        }
        return Ok(Status::Usage);
    }
    let by_officers = rule::of(config)?.is_some();
    if let Some(why) = args.signing.without_officers(config).filter(|_| !by_officers) {
        say(format_args!("{why}"));
        return Ok(Status::Usage);
    }
    if by_officers && !args.signing.is_by_an_officer() {
        say(format_args!(
            "officers rule this gateway, and making a key is the first of their statements: say who signs, with --officer NAME --officer-key FILE"
        ));
        return Ok(Status::Usage);
    }
    // Afterwards, the key would be there without the statement that was asked for.
    if by_officers && let Some(why) = objection(config, &args.signing)? {
        say(format_args!("no key is made: {why}"));
        return Ok(Status::Failed);
    }
    let register = config.gateway.keys.join("register");
    let (written, public_key) = match (&config.pkcs11, args.hsm) {
        (Some(settings), true) => entry.generate_in_token(&register, settings)?,
        (None, true) => {
            say(format_args!("--hsm needs the table [pkcs11] in {}: module, token and pin_file", config.file.display()));
            return Ok(Status::Usage);
        }
        (_, false) => {
            unlock_for_new_key(config)?;
            let passphrase = config.gateway.passphrase.octets()?;
            entry.generate(&register, passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?
        }
    };
    let encrypted = !args.hsm && !matches!(config.gateway.passphrase, Passphrase::None);
    if !args.hsm && !encrypted {
        say(format_args!(
            "warning: the private key is not encrypted; its file is all that protects it. Set [gateway] key_passphrase_file or ask_passphrase, and keys are made encrypted"
        ));
    }
    let key = entry.as_key(written.key_identifier.clone(), public_key, KeyState::Active);
    let gaps = gaps(config, &key, today);
    let told = if json { machine(&written, &key, encrypted, &gaps, out) } else { people(&written, &key, &gaps, by_officers, out) };
    told.map_err(unwritten)?;
    if !by_officers {
        return Ok(Status::Done);
    }
    match key_subject(config, &written.key_identifier) {
        Ok((subject, content, _)) => decide(config, Act::Generate, subject, content, &args.signing, json, out),
        Err(why) => {
            say(format_args!("{why}"));
            Ok(Status::Failed)
        }
    }
}

fn mistakes(config: &Config, entry: &NewEntry, today: Date) -> Vec<String> {
    let mut mistakes = entry.mistakes();
    if entry.last_day < today {
        mistakes.push(format!("the last day {} is past; today is {today}", entry.last_day));
    }
    let configured: Vec<&str> = config.groups.iter().map(|group| group.id.as_str()).collect();
    for group in entry.groups.iter().filter(|group| !configured.contains(&group.as_str())) {
        mistakes.push(format!("group {group} is not configured; [[group]] has {}", configured.join(", ")));
    }
    mistakes
}

/// What stays without a key up to the new one's last day, once that is in use.
fn gaps(config: &Config, key: &Key, today: Date) -> Vec<String> {
    let known = Known::load(config);
    let mut keys = active(known.keys.register());
    keys.push(key);
    let days = today.until((Unit::Day, key.last_day)).map_or(0, |span| i64::from(span.get_days()));
    let found = of_keys(config, &keys, today, days);
    let concerned = found.iter().filter(|found| key.groups.contains(&found.group) && key.elements.contains(&found.element));
    concerned.filter(|found| found.gap.is_some()).map(ToString::to_string).collect()
}

fn people(written: &Written, key: &Key, gaps: &[String], by_officers: bool, out: &mut dyn Write) -> std::io::Result<()> {
    let Written { key_identifier, entry, .. } = written;
    writeln!(out, "Key {key_identifier} is proposed: {} for {}, {} to {}.", key.algorithm, key.role, key.first_day, key.last_day)?;
    writeln!(out, "  entry        {}", entry.display())?;
    writeln!(out, "  public key   {}", written.public_key.display())?;
    if let Some(private_key) = &written.private_key {
        writeln!(out, "  private key  {}", private_key.display())?;
    }
    for gap in gaps {
        writeln!(out, "warning: even with this key, {gap}")?;
    }
    let id = key_identifier;
    let by = if by_officers { " --officer NAME --officer-key FILE" } else { "" };
    writeln!(out, "It opens nothing until it is approved: postern keys approve {id}{by}")?;
    writeln!(out, "Then tell the SMSOs of it: postern keys notice --help")
}

fn machine(written: &Written, key: &Key, encrypted: bool, gaps: &[String], out: &mut dyn Write) -> std::io::Result<()> {
    let path = |path: &std::path::Path| path.display().to_string();
    let line = json!({
        "event": "generated",
        "key_identifier": written.key_identifier.to_string(),
        "x509ski": written.key_identifier.to_base64(),
        "state": "proposed",
        "role": key.role.as_str(),
        "algorithm": key.algorithm.as_str(),
        "first_day": key.first_day.to_string(),
        "last_day": key.last_day.to_string(),
        "entry": path(&written.entry),
        "public_key": path(&written.public_key),
        "private_key": written.private_key.as_deref().map(path),
        "encrypted": encrypted,
        "gaps": gaps,
    });
    writeln!(out, "{line}")
}
