//! `postern queue`: what waits for its consumer, taken under a lease and acknowledged.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::configured::{age, config_of, counted, unwritten};
use super::reseal::{ResealArgs, reseal_queue};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::public_key::PublicKey;
use crate::messages::{GatewayKey, PrivateConsumerKey, open};
use crate::migration::names::Queue;
use crate::officers::{Subject, signing_content};
use crate::shell::config::Config;
use crate::shell::known::Known;
use crate::shell::unlock::unlock;
use crate::store::{Leased, Store};

/// A private JWK has some hundred octets.
const MAX_JWK_OCTETS: u64 = 64 << 10;

/// The embedded queue: what waits, and taking it.
#[derive(Debug, Args)]
pub struct QueueArgs {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// How many messages wait in each queue, how many of them are leased, and how old the oldest is
    List,
    /// Leases messages, oldest first. Each stays hidden from others until its lease ends; unless it is acknowledged by
    /// then, it is handed out again. Delivery is at least once: message_id tells a redelivery
    Take(TakeArgs),
    /// Acknowledges messages by their leases: they leave the queue for good
    Ack(AckArgs),
    /// Makes the unacknowledged messages again for a new consumer key, each under its old message_id
    Reseal(ResealArgs),
}

#[derive(Debug, Args)]
struct TakeArgs {
    /// The queue: s1sp, dco or common
    #[arg(value_name = "NAME", value_parser = queue_name)]
    queue: Queue,
    /// At most this many messages
    #[arg(long, value_name = "N", default_value_t = 1)]
    max: usize,
    /// How long the lease holds, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=31_622_400))]
    lease: u64,
    /// The consumer's private key, a JWK file with mode 0600: opens each message and checks that this gateway made it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct AckArgs {
    /// The queue: s1sp, dco or common
    #[arg(value_name = "NAME", value_parser = queue_name)]
    queue: Queue,
    /// Leases as `take` gave them; - reads them from standard input, separated by white space
    #[arg(value_name = "LEASE", required = true)]
    leases: Vec<String>,
}

pub(super) fn queue_name(text: &str) -> Result<Queue, String> {
    let names = Queue::ALL.iter().map(|queue| queue.as_str()).collect::<Vec<_>>().join(", ");
    Queue::from_word(text).ok_or_else(|| format!("there is no such queue; the queues are {names}"))
}

/// Does what `args` ask for over the configured data folder.
///
/// Gives the exit status: 0; 1 where a message does not open or a lease is unknown; 2 for a broken configuration.
///
/// # Errors
/// The database, a file that can't be read, or standard output.
pub fn queue(args: &QueueArgs, config: Option<&Path>, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let mut config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let now = Timestamp::now();
    match &args.act {
        Act::List => list(&Store::open_read_only(&config.gateway.data)?, now, json, out),
        Act::Take(args) => take(args, &config, now, json, out),
        Act::Ack(args) => {
            let leases = leases(&args.leases)?;
            ack(&existing(&config)?, args.queue, &leases, now, json, out)
        }
        Act::Reseal(args) => {
            unlock(&mut config)?;
            reseal_queue(args, &config, &existing(&config)?, json, out)
        }
    }
}

/// The store for writing, where there is one: taking from a gateway that never ran must not make it.
fn existing(config: &Config) -> Result<Store, Fault> {
    drop(Store::open_read_only(&config.gateway.data)?);
    Store::open(&config.gateway.data)
}

fn list(store: &Store, now: Timestamp, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    for depth in store.depths(now)? {
        let (queue, waiting, leased, held) = (depth.queue, depth.waiting, depth.leased, depth.held);
        if json {
            let oldest = depth.oldest.map(|time| time.to_string());
            writeln!(
                out,
                "{}",
                json!({"event": "queue", "queue": queue.as_str(), "waiting": waiting, "leased": leased, "held": held, "oldest": oldest})
            )
        } else {
            let held = if held == 0 { String::new() } else { format!(", {held} held (see `postern sets`)") };
            let oldest = depth.oldest.map(|time| format!(", the oldest for {}", age(time, now))).unwrap_or_default();
            writeln!(out, "{queue:<8}{} waiting, {leased} of them leased{held}{oldest}", counted(waiting, "message"))
        }
        .map_err(unwritten)?;
    }
    Ok(0)
}

fn take(args: &TakeArgs, config: &Config, now: Timestamp, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    // The key first: nothing is leased for a consumer who can't open it.
    let opener = args.key.as_deref().map(|path| Opener::new(path, config)).transpose()?;
    let taken = existing(config)?.take(args.queue, args.max, Duration::from_secs(args.lease), now)?;
    let mut status = 0;
    let mut kept = Vec::new();
    if !json && taken.is_empty() {
        writeln!(out, "Nothing to take from {}: it is empty, or all of it is leased.", args.queue).map_err(unwritten)?;
    }
    for message in &taken {
        let opened = opener.as_ref().map(|opener| opener.open(message));
        if matches!(opened, Some(None)) {
            status = 1;
        } else {
            kept.push(message.lease.as_str());
        }
        let line = if json { line(message, opened.as_ref()) } else { block(message, opened.as_ref()) };
        out.write_all(line.as_bytes()).map_err(unwritten)?;
    }
    if let Some(first) = kept.first().filter(|_| !json) {
        let queue = args.queue;
        writeln!(out, "When they are kept safely: postern queue ack {queue} {first}{}", if kept.len() > 1 { " ..." } else { "" })
            .map_err(unwritten)?;
    }
    if status != 0 && !json {
        let (queue, lease) = (args.queue, args.lease);
        let advice = format!(
            "Do not acknowledge what did not open: that would delete it. It comes again after {lease} seconds. The key must be the\nprivate half of the consumer key of {queue}, and keys/signing/signing.cert.pem the gateway's."
        );
        writeln!(out, "{advice}").map_err(unwritten)?;
    }
    Ok(status)
}

type Opened = Option<Zeroizing<Vec<u8>>>;

/// One object a line. The message is spliced in as it was opened, so that it is in no buffer that is not wiped.
fn line(message: &Leased, opened: Option<&Opened>) -> Zeroizing<String> {
    let object = json!({"message_id": message.message_id.to_string(), "lease": message.lease, "jwe": message.jwe}).to_string();
    let mut parts = vec![object.trim_end_matches('}')];
    match opened {
        None => {}
        Some(Some(plaintext)) => parts.extend([",\"message\":", std::str::from_utf8(plaintext).unwrap_or("null")]),
        Some(None) => parts.push(",\"message\":null"),
    }
    parts.push("}\n");
    Zeroizing::new(parts.concat())
}

fn block(message: &Leased, opened: Option<&Opened>) -> Zeroizing<String> {
    let mut text = format!("message {}\n  lease  {}\n", message.message_id, message.lease);
    match opened {
        None => text.push_str(&format!("  sealed, {} octets; --key opens it with the consumer's private key\n", message.jwe.len())),
        Some(None) => text.push_str("  does not open under this key, or was not made by this gateway\n"),
        Some(Some(plaintext)) => text.push_str(&summary(plaintext)),
    }
    Zeroizing::new(text)
}

/// What a message is about; never its items' content.
fn summary(plaintext: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Outline<'a> {
        location: &'a str,
        received_at: &'a str,
        installation_id: &'a str,
        #[serde(default)]
        items: Vec<Item<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Item<'a> {
        element: &'a str,
        device_id: Option<&'a str>,
        key_identifier: &'a str,
    }
    let Ok(outline) = serde_json::from_slice::<Outline<'_>>(plaintext) else { return "  opened; --json prints it\n".to_owned() };
    let mut text = format!("  installation {} from {}, received {}\n", outline.installation_id, outline.location, outline.received_at);
    for Item { element, device_id, key_identifier } in &outline.items {
        let device = device_id.map(|id| format!(" of {id}")).unwrap_or_default();
        text.push_str(&format!("    {element}{device}, was under key {key_identifier}\n"));
    }
    text.push_str("  opened and made by this gateway; --json prints its content\n");
    text
}

/// Opens messages, and checks the gateway's voucher where its key is at hand.
struct Opener {
    key: PrivateConsumerKey,
    gateway: Option<GatewayKey>,
}

impl Opener {
    fn new(path: &Path, config: &Config) -> Result<Self, Fault> {
        let fault = || Fault::new("use the consumer's key", path.display());
        let jwk = crate::keys::read_private_file(path, MAX_JWK_OCTETS)?;
        let key = PrivateConsumerKey::from_jwk(&jwk).map_err(|error| fault().because(error))?;
        let known = Known::load(config);
        let keys = &known.keys;
        // Its passphrase need not be asked for: the certificate has the public half.
        let certificate = || {
            let der = crate::keys::read_certificate(&config.gateway.keys.join("signing/signing.cert.pem")).ok()?;
            let public_key = PublicKey::from_certificate(&der)?;
            let approved = known
                .rule()
                .ledger()
                .ok()?
                .is_none_or(|ledger| ledger.has_in_force(&Subject::Signing, &signing_content(&public_key, &der)));
            approved.then_some(public_key)
        };
        let public_key = match keys.signing() {
            Ok(signing) => Some(signing.public_key().clone()),
            Err(_) if keys.signing_is_locked() => certificate(),
            Err(_) => None,
        };
        let point = public_key.and_then(|key| key.subject_public_key().try_into().ok());
        if point.is_none() {
            let _ = writeln!(
                std::io::stderr(),
                "note: the gateway's signing key and certificate can't be read or are not approved, so that who made a message is not checked"
            );
        }
        Ok(Self { key, gateway: point.map(GatewayKey::from_point) })
    }

    fn open(&self, message: &Leased) -> Opened {
        open(&message.jwe, &self.key, self.gateway.as_ref()).ok().filter(|plaintext| names(plaintext, &message.message_id))
    }
}

/// Whether the opened message bears the id that it was handed out under.
fn names(plaintext: &[u8], message_id: &Sha256) -> bool {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        message_id: &'a str,
    }
    serde_json::from_slice::<Named<'_>>(plaintext).is_ok_and(|named| Sha256::from_hex(named.message_id) == Some(*message_id))
}

fn leases(given: &[String]) -> Result<Vec<String>, Fault> {
    if given != ["-"] {
        return Ok(given.to_vec());
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| Fault::new("read leases from", "standard input").because(error))?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

fn ack(store: &Store, queue: Queue, leases: &[String], now: Timestamp, json: bool, out: &mut dyn Write) -> Result<u8, Fault> {
    let done = store.ack(queue, leases, now)?;
    if json {
        let line: Value = json!({"event": "ack", "queue": queue.as_str(), "acknowledged": done.acknowledged, "unknown": done.unknown});
        writeln!(out, "{line}").map_err(unwritten)?;
    } else {
        writeln!(out, "{} acknowledged", counted(done.acknowledged.len() as u64, "message")).map_err(unwritten)?;
        for lease in &done.unknown {
            writeln!(
                out,
                "unknown lease {lease}: acknowledged before, never given out in {queue}, or it ended and the message was handed out anew"
            )
            .map_err(unwritten)?;
        }
    }
    Ok(u8::from(!done.unknown.is_empty()))
}
