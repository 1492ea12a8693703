//! The working set behind `postern init`: configuration, folders, a test authority and every key that the parties of a
//! small migration hold, all made new. Nothing in it protects anything real.

mod authority;
mod place;
pub mod samples;
mod texts;
pub mod week;

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use zeroize::Zeroizing;

use authority::Authority;
use place::Place;

use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::public_key::{Curve, KeyKind, PublicKey};
use crate::keys::{CheckpointKey, NewEntry, plain_pem, software};
use crate::migration::names::{KeyState, LocationKind, Queue, Role};

/// The gateway of the working set.
const GATEWAY: Eui64 = Eui64::from_u64(0x90B3_D51F_3000_0F01);
/// How long ago everything began: long enough for `explain --at` to look into the past.
const DAYS_BEFORE: i64 = 60;
/// How long register keys go on.
const DAYS_AFTER: i64 = 365;
/// How long certificates and the revocation list go on.
const YEARS_OF_CERTIFICATES: i64 = 10;

/// Everything that was made, for whoever writes sample files into it.
#[derive(Debug)]
pub struct WorkingSet {
    /// The folder.
    pub folder: PathBuf,
    /// `postern.toml` in it.
    pub config: PathBuf,
    /// The gateway's EUI-64.
    pub gateway: Eui64,
    /// The senders, in the order of the configuration's locations.
    pub senders: Vec<Sender>,
    /// The register's keys.
    pub register: Vec<RegisterKey>,
    /// The consumers' private keys, as JWK files.
    pub consumers: Vec<(Queue, PathBuf)>,
}

/// Which rules the configuration of a working set switches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// Those that are on by default.
    Usual,
    /// All that a Migration Week goes by: officers, notices, eligible products, file sets, SIM lists.
    OfTheWeek,
}

/// A sender with its location and its signing key.
pub struct Sender {
    /// The location's name.
    pub location: String,
    /// The location's kind.
    pub kind: LocationKind,
    /// The sender.
    pub eui: Eui64,
    /// The SMSO it speaks for.
    pub smso: Option<String>,
    /// Where it drops files.
    pub inbound: PathBuf,
    /// Where it finds results.
    pub outbound: PathBuf,
    /// Its signing key, a PEM in `sender-private/`.
    pub key_file: PathBuf,
    /// The certificate registered for it.
    pub certificate_file: PathBuf,
    /// DER of the signing key's PKCS#8 PrivateKeyInfo, as ring takes it.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// DER of the certificate.
    pub certificate: Vec<u8>,
}

/// A key of the register, its public side.
#[derive(Debug, Clone)]
pub struct RegisterKey {
    /// Its Key Identifier.
    pub key_identifier: KeyIdentifier,
    /// Whose it is.
    pub role: Role,
    /// What senders encrypt with.
    pub public_key: PublicKey,
    /// First day of use, inclusive.
    pub first_day: Date,
    /// Last day of use, inclusive; one key's is yesterday.
    pub last_day: Date,
}

/// Every field but the private key.
impl std::fmt::Debug for Sender {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Sender({} at {})", self.eui, self.location)
    }
}

impl WorkingSet {
    /// Makes the set in `folder`, which is made if it is not there. Days are those in Europe/London at `now`.
    ///
    /// # Errors
    /// The folder is not empty, or something can't be written.
    pub fn create(folder: &Path, now: Timestamp) -> Result<Self, Fault> {
        Self::create_for(folder, now, Rules::Usual)
    }

    /// As [`WorkingSet::create`], with a choice of what the configuration says.
    ///
    /// # Errors
    /// As [`WorkingSet::create`].
    pub fn create_for(folder: &Path, now: Timestamp, rules: Rules) -> Result<Self, Fault> {
        let days = Days::around(now)?;
        let place = Place::claim(folder)?;
        for (name, mode) in texts::FOLDERS {
            place.folder(name, *mode)?;
        }
        let authority = Authority::new(days)?;
        place.public("keys/anchors/issuing-ca.pem", authority.certificate_pem())?;
        place.public("keys/crls/issuing-ca.crl", authority.revocation_list()?)?;
        place.private("authority-private/issuing-ca.key.pem", &authority.key_pem()?)?;

        let (signing_key, _) = generate(KeyKind::Ec(Curve::P256))?;
        let (certificate_pem, _) = authority.certify(&signing_key, "89", &format!("postern-gateway {GATEWAY}"))?;
        place.private("keys/signing/signing.key.pem", &plain_pem(&signing_key)?)?;
        place.public("keys/signing/signing.cert.pem", certificate_pem)?;

        CheckpointKey::make(&place.path("keys"), None)?;

        let mut senders: Vec<Sender> = Vec::new();
        for sender in texts::SENDERS {
            // A sender with several locations has one key.
            let known = senders.iter().find(|known| known.eui == Eui64::from_u64(sender.eui)).map(Signs::of);
            senders.push(new_sender(&place, &authority, sender, known)?);
        }
        let register = texts::REGISTER.iter().map(|key| new_register_key(&place, key, days)).collect::<Result<_, _>>()?;
        let consumers = Queue::ALL.iter().map(|queue| new_consumer(&place, *queue, days)).collect::<Result<_, _>>()?;
        place.public("postern.toml", texts::configuration(GATEWAY, days, rules))?;
        Ok(Self { folder: folder.to_owned(), config: place.path("postern.toml"), gateway: GATEWAY, senders, register, consumers })
    }
}

/// The days that the set's keys and certificates run between.
#[derive(Debug, Clone, Copy)]
struct Days {
    first: Date,
    yesterday: Date,
    last_of_keys: Date,
    last_of_certificates: Date,
}

impl Days {
    fn around(now: Timestamp) -> Result<Self, Fault> {
        let fault = |error| Fault::new("reckon the days of the working set from", now).because(error);
        let today = TimeZone::get("Europe/London").map_err(fault)?.to_datetime(now).date();
        Ok(Self {
            first: today.checked_sub(DAYS_BEFORE.days()).map_err(fault)?,
            yesterday: today.yesterday().map_err(fault)?,
            last_of_keys: today.checked_add(DAYS_AFTER.days()).map_err(fault)?,
            last_of_certificates: today.checked_add(YEARS_OF_CERTIFICATES.years()).map_err(fault)?,
        })
    }
}

/// What a sender signs with.
struct Signs {
    pkcs8: Zeroizing<Vec<u8>>,
    certificate: Vec<u8>,
}

impl Signs {
    fn of(sender: &Sender) -> Self {
        Self { pkcs8: sender.pkcs8.clone(), certificate: sender.certificate.clone() }
    }
}

fn new_sender(place: &Place, authority: &Authority, sender: &texts::Sender, known: Option<Signs>) -> Result<Sender, Fault> {
    let eui = Eui64::from_u64(sender.eui);
    let key_name = format!("sender-private/{eui}.key.pem");
    let certificate_name = format!("keys/senders/{eui}/signing-1.pem");
    let (inbound, outbound) = (format!("in/{}", sender.location), format!("out/{}", sender.location));
    place.folder(&inbound, 0o755)?;
    place.folder(&outbound, 0o755)?;
    let Signs { pkcs8, certificate } = match known {
        Some(signs) => signs,
        None => {
            let (pkcs8, _) = generate(KeyKind::Ec(Curve::P256))?;
            let (certificate_pem, certificate) = authority.certify(&pkcs8, "05", &format!("{} signing {eui}", sender.location))?;
            place.folder(&format!("keys/senders/{eui}"), 0o700)?;
            place.private(&key_name, &plain_pem(&pkcs8)?)?;
            place.public(&certificate_name, certificate_pem)?;
            Signs { pkcs8, certificate }
        }
    };
    Ok(Sender {
        location: sender.location.to_owned(),
        kind: sender.kind,
        eui,
        smso: sender.smso.map(str::to_owned),
        inbound: place.path(&inbound),
        outbound: place.path(&outbound),
        key_file: place.path(&key_name),
        certificate_file: place.path(&certificate_name),
        pkcs8,
        certificate,
    })
}

fn new_register_key(place: &Place, key: &texts::RegisterKey, days: Days) -> Result<RegisterKey, Fault> {
    let (pkcs8, public_key) = generate(KeyKind::stated_by(key.algorithm))?;
    // Both lengths of identifier are in use: 8 octets in GB smart metering, 20 elsewhere.
    let key_identifier = NewEntry::key_identifier(&public_key);
    let last_day = if key.is_expired { days.yesterday } else { days.last_of_keys };
    place.private(&format!("keys/register/{key_identifier}.key.pem"), &plain_pem(&pkcs8)?)?;
    let halves = format!("private_key = \"{key_identifier}.key.pem\"\n");
    let entry = texts::register_entry(key, days.first, last_day).text(&key_identifier, KeyState::Active, &halves);
    place.public(&format!("keys/register/{key_identifier}.toml"), entry)?;
    Ok(RegisterKey { key_identifier, role: key.role, public_key, first_day: days.first, last_day })
}

fn new_consumer(place: &Place, queue: Queue, days: Days) -> Result<(Queue, PathBuf), Fault> {
    let (pkcs8, public_key) = generate(KeyKind::Ec(Curve::P256))?;
    let scalar = software::private_scalar(&pkcs8).ok_or_else(|| Fault::new("make the consumer's key of queue", queue))?;
    let kid = format!("{queue}-{}-1", days.yesterday.year());
    place.public(&format!("keys/consumers/{queue}.pub.jwk"), texts::jwk(&kid, &public_key, None).as_str())?;
    let name = format!("consumer-private/{queue}.jwk");
    place.private(&name, &texts::jwk(&kid, &public_key, Some(&scalar)))?;
    Ok((queue, place.path(&name)))
}

fn generate(kind: KeyKind) -> Result<(Zeroizing<Vec<u8>>, PublicKey), Fault> {
    software::generate(kind).ok_or_else(|| Fault::new("make a new key of kind", kind))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::gate::register::{Custody, Entry};
    use crate::keys::KeyFolder;
    use crate::shell::config::Config;

    #[test]
    fn everything_in_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let set = WorkingSet::create(&folder.path().join("new"), Timestamp::now()).unwrap();
        let config = Config::read(&set.config).unwrap();
        let keys = KeyFolder::load(&config.key_source());
        assert_eq!(keys.faults().iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(keys.register().entries().count(), 4);
        assert!(
            keys.register().entries().all(|(_, entry)| matches!(entry, Entry::Whole(key) if matches!(key.custody, Custody::Private(_))))
        );
        for sender in &set.senders {
            let registered = keys.senders().of(sender.eui).unwrap();
            assert_eq!(registered.certificates[0].der, sender.certificate);
            assert!(config.locations.iter().any(|location| location.name == sender.location && location.inbound == sender.inbound));
        }
        for (queue, private) in &set.consumers {
            let public: serde_json::Value = serde_json::from_str(keys.consumer(*queue).unwrap().unwrap()).unwrap();
            let private: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(private).unwrap()).unwrap();
            assert_eq!(public["x"], private["x"]);
            assert!(public.get("d").is_none() && private["d"].as_str().unwrap().len() == 43);
        }
    }

    #[test]
    fn openssl_agrees_with_the_certificates_and_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
        let anchor = folder.path().join("keys/anchors/issuing-ca.pem");
        let list = folder.path().join("crl.pem");
        let run = |arguments: &[&str]| {
            let output = std::process::Command::new("openssl").args(arguments).output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let der = folder.path().join("keys/crls/issuing-ca.crl");
        assert!(run(&["crl", "-in", der.to_str().unwrap(), "-out", list.to_str().unwrap()]).0);
        let certificate = set.senders[0].certificate_file.to_str().unwrap();
        let (holds, told) = run(&[
            "verify",
            "-x509_strict",
            "-crl_check",
            "-CAfile",
            anchor.to_str().unwrap(),
            "-CRLfile",
            list.to_str().unwrap(),
            certificate,
        ]);
        assert!(holds, "{told}");
        let (_, told) = run(&["x509", "-in", certificate, "-noout", "-text"]);
        assert!(told.contains("Digital Signature\n"), "{told}");
        // Eight octets, the first of them 4x: method 2.
        let identifier = told.lines().skip_while(|line| !line.contains("Subject Key Identifier")).nth(1).unwrap().trim();
        assert!(identifier.len() == 23 && identifier.starts_with('4'), "{identifier}");
    }

    #[test]
    fn private_files_are_for_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let set = WorkingSet::create(folder.path(), Timestamp::now()).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let files = set.senders.iter().map(|sender| &sender.key_file).chain(set.consumers.iter().map(|(_, path)| path));
        assert!(files.into_iter().all(|path| mode(path) == 0o600));
        for name in ["keys", "data", "sender-private", "consumer-private", "authority-private"] {
            assert_eq!(mode(&folder.path().join(name)), 0o700, "{name}");
        }
    }

    #[test]
    fn a_folder_with_anything_in_it_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".hidden"), "mine").unwrap();
        let fault = WorkingSet::create(folder.path(), Timestamp::now()).unwrap_err();
        assert!(fault.to_string().contains("not empty"), "{fault}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
