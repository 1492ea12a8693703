//! What stands in the new working set: who there is, and the texts of its files.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::civil::Date;
use zeroize::Zeroizing;

use super::{Days, Rules};
use crate::eui::Eui64;
use crate::gate::public_key::{Curve, PublicKey};
use crate::keys::NewEntry;
use crate::migration::names::{Element, KeyAlgorithm, LocationKind, Role};

/// Every folder, in the order to make them, with its mode.
pub(super) const FOLDERS: &[(&str, u32)] = &[
    ("data", 0o700),
    ("in", 0o755),
    ("out", 0o755),
    ("keys", 0o700),
    ("keys/anchors", 0o700),
    ("keys/crls", 0o700),
    ("keys/senders", 0o700),
    ("keys/signing", 0o700),
    ("keys/notices", 0o700),
    ("keys/register", 0o700),
    ("keys/consumers", 0o700),
    ("authority-private", 0o700),
    ("sender-private", 0o700),
    ("consumer-private", 0o700),
];

pub(super) struct Sender {
    pub(super) location: &'static str,
    pub(super) kind: LocationKind,
    pub(super) eui: u64,
    pub(super) smso: Option<&'static str>,
}

pub(super) const SENDERS: &[Sender] = &[
    Sender { location: "cgi-live", kind: LocationKind::Migration, eui: 0x70B3_D51F_3000_A008, smso: Some("CGI") },
    Sender { location: "mds-live", kind: LocationKind::Migration, eui: 0x90B3_D51F_3000_0B01, smso: Some("MDS") },
    Sender { location: "supplier-early", kind: LocationKind::EarlyValidation, eui: 0x90B3_D51F_3000_0002, smso: None },
    Sender { location: "supplier-demand", kind: LocationKind::Demand, eui: 0x90B3_D51F_3000_0002, smso: None },
    Sender { location: "tef-sims", kind: LocationKind::Sim, eui: 0x90B3_D51F_3000_0C01, smso: None },
];

pub(super) struct RegisterKey {
    pub(super) role: Role,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) is_expired: bool,
}

pub(super) const REGISTER: &[RegisterKey] = &[
    RegisterKey { role: Role::Dco, algorithm: KeyAlgorithm::P256, is_expired: false },
    RegisterKey { role: Role::Dco, algorithm: KeyAlgorithm::Rsa2048, is_expired: false },
    RegisterKey { role: Role::S1sp, algorithm: KeyAlgorithm::P256, is_expired: false },
    RegisterKey { role: Role::Dco, algorithm: KeyAlgorithm::P256, is_expired: true },
];

pub(super) fn register_entry(key: &RegisterKey, first_day: Date, last_day: Date) -> NewEntry {
    let element = match key.role {
        Role::Dco => Element::MasterKey,
        Role::S1sp => Element::S1spGroupInformation,
    };
    NewEntry {
        role: key.role,
        algorithm: key.algorithm,
        first_day,
        last_day,
        groups: ["AA", "BA", "CA", "CB"].map(str::to_owned).to_vec(),
        smsos: Vec::new(),
        elements: vec![element],
        device_types: Vec::new(),
    }
}

/// A P-256 JWK (RFC 7518, 6.2), private where the scalar is given.
pub(super) fn jwk(kid: &str, public_key: &PublicKey, scalar: Option<&[u8]>) -> Zeroizing<String> {
    let octets = Curve::P256.coordinate_octets();
    let point = public_key.subject_public_key();
    let encode = |octets: &[u8]| Zeroizing::new(URL_SAFE_NO_PAD.encode(octets));
    let coordinate = |at: usize| encode(point.get(at..at + octets).unwrap_or_default());
    let private = scalar.map(|scalar| Zeroizing::new(format!("\"d\":\"{}\",", *encode(scalar))));
    let private = private.as_ref().map_or("", |private| private.as_str());
    Zeroizing::new(format!(
        "{{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",{private}\"kid\":\"{kid}\",\"kty\":\"EC\",\"use\":\"enc\",\"x\":\"{}\",\"y\":\"{}\"}}\n",
        *coordinate(1),
        *coordinate(1 + octets),
    ))
}

/// What a Migration Week switches on, line for line.
const OF_THE_WEEK: &[(&str, &str)] = &[
    ("# require_notice = false          # true: refuse", "require_notice = true             # refuse"),
    ("# [officers]\n# threshold = 2", "[officers]\nthreshold = 2"),
    ("# [demand]\n# reports = \"reports\" ", "[demand]\nreports = \"reports\"   "),
    ("# [sets]\n# wait_hours = 72 ", "[sets]\nwait_hours = 72   "),
    ("# [epcl]\n# file = \"epcl.csv\"", "[epcl]\nfile = \"epcl.csv\""),
    ("# sim_list = true  ", "sim_list = true    "),
];

/// The text of `postern.toml`.
pub(super) fn configuration(gateway: Eui64, days: Days, rules: Rules) -> String {
    let mut text = format!(
        "\
# Postern's configuration. Paths are relative to this file's folder. `postern check-config` tells every mistake at once.
# Every key and certificate of this working set was made by `postern init` for trying things out; use none elsewhere.

[gateway]
data = \"data\"                     # database, spool, quarantine, archive; private to the gateway
keys = \"keys\"                     # authorities, senders' certificates, the key register, consumers' keys
eui = \"{gateway}\"
roles = [\"S1SP\", \"DCO\"]           # whose elements this gateway decrypts; others are passed on sealed
time_zone = \"Europe/London\"       # whose calendar days count for the keys' first and last day
max_file_bytes = 268435456
# max_installations = 2000000     # a file with more is refused
# arrival_grace_days = 0          # a file may arrive this many days after a key's last day if Created is within it
# settle_ms = 1000                # how long a file must have been still before it is taken
# incomplete_ms = 60000           # how long a file that breaks off is left alone, in case its upload resumes
# rescan_ms = 5000                # how often every folder is read again, whatever the system notifies
# key_passphrase_file = \"...\"     # where private keys are encrypted; mode 0600
# ask_passphrase = false          # true: it is asked for on the terminal at start, in place of a file
# require_notice = false          # true: refuse groups without a complete notification (TMAD 5.1)
# workers = 2                     # threads for private-key operations; by default one a core
# key_retention_days = 365        # how long a private half is kept after its last day before it may be destroyed
# min_free_bytes = 67108864       # intake pauses while the data folder has less room than this

# Security officers decide on keys, certificates and consumers' keys, two of them together: docs/officers.md.
# [officers]
# threshold = 2

# The list of eligible product combinations (TMAD 3.6): docs/epcl.md. Begin it with `postern epcl add`.
# [epcl]
# file = \"epcl.csv\"

# Summary reports of commitments to suppliers' demand: docs/demand.md. By default in the data folder.
# [demand]
# reports = \"reports\"             # created 0750, files 0640
# cap_live_admission = false      # true: no more is admitted on a day than was committed to for it

# Groups with needs_mgef = true wait for both files of an installation, the group file and the common file: docs/sets.md.
# [sets]
# wait_hours = 72                 # after how long a missing one is told to the sender

# Where register entries name keys in a token: private_key = \"pkcs11:id=%44%89...\"
# [pkcs11]
# module = \"/usr/lib/softhsm/libsofthsm2.so\"   # the token's PKCS#11 module
# token = \"...\"                   # its label
# pin_file = \"...\"                # the user's PIN, on its first line; mode 0600
# sessions = 4                    # the most that are open at once
"
    );
    for sender in SENDERS {
        let (name, kind, eui) = (sender.location, sender.kind, Eui64::from_u64(sender.eui));
        text.push_str(match sender.kind {
            LocationKind::EarlyValidation => {
                "\n# A supplier that asks for early validation (TMAD 4.2): it gets answers, and nothing is forwarded.\n"
            }
            LocationKind::Demand => {
                "\n# The same supplier's demand lists (TMAD 4.8): CSV with a detached signature beside it; docs/demand.md.\n"
            }
            LocationKind::Sim => "\n# The communications provider's SIM lists (TMAD 14.3), CSV likewise; docs/sims.md.\n",
            LocationKind::Migration => "\n# An SMSO's pair of folders: it drops files in one and finds signed results in the other.\n",
        });
        text.push_str(&format!("[[location]]\nname = \"{name}\"\nkind = \"{kind}\"\nsender = \"{eui}\"\n"));
        if let Some(smso) = sender.smso {
            text.push_str(&format!("smso = \"{smso}\"                      # the only SMSO that this sender may speak for\n"));
        }
        if sender.kind == LocationKind::EarlyValidation {
            text.push_str(&format!("notified = {}             # since when the DCC has let this supplier ask\n", days.first));
        }
        text.push_str(&format!("inbound = \"in/{name}\"\noutbound = \"out/{name}\"\n"));
    }
    text.push_str(GROUPS_AND_QUEUES);
    if rules == Rules::OfTheWeek {
        for (usual, week) in OF_THE_WEEK {
            text = text.replacen(usual, week, 1);
        }
    }
    text
}

const GROUPS_AND_QUEUES: &str = r#"
# Which encrypted elements each group needs, and for which devices; whether it needs a group file (MGEF); what is configured before and
# after migration (TMAD 5.1 (b), 7.14), or the statement that nothing is: "none needed". Which elements and devices, and what is stated
# of AA, BA and CA, is assumed: ask the DCC. `postern group show CB` shows all that is known of a group.
[[group]]
id = "AA"
requires = [ { element = "EncryptedMasterKey", device_types = ["ESME"] } ]
needs_mgef = true
pre_migration_configuration = "none needed"    # assumed
post_migration_configuration = "none needed"   # assumed

[[group]]
id = "BA"
requires = [ { element = "EncryptedS1SPGroupInformation" } ]
needs_mgef = true
pre_migration_configuration = "none needed"    # assumed
post_migration_configuration = "none needed"   # assumed

[[group]]
id = "CA"
requires = [ { element = "EncryptedMasterKey", device_types = ["ESME", "GSME"] } ]
needs_mgef = true
pre_migration_configuration = "none needed"    # assumed
post_migration_configuration = "none needed"   # assumed

[[group]]
id = "CB"
requires = [ { element = "EncryptedS1SPGroupInformation" }, { element = "EncryptedMasterKey", device_types = ["ESME", "GSME"] } ]
s1sp_information_requires = ["IMSI", "StaticIP"]
needs_mgef = true
pre_migration_configuration = "A static IP address for each SIM, and APN elster for the DCC alone (TMAD 14.3)."
post_migration_configuration = "Migrated SIMs are on APN elster only, so that the SMSO no longer reaches the devices (TMAD 7.14, 14.14)."
# sim_list = true                 # both must agree with the SIM list that a location of kind "sim" brings: docs/sims.md

# Where validated content goes, sealed to the consumer's key (relative to the key folder). Read with `postern queue take`.
[[queue]]
name = "s1sp"
consumer_key = "consumers/s1sp.pub.jwk"
backend = "embedded"

[[queue]]
name = "dco"
consumer_key = "consumers/dco.pub.jwk"
backend = "embedded"

[[queue]]
name = "common"
consumer_key = "consumers/common.pub.jwk"
backend = "embedded"
"#;
