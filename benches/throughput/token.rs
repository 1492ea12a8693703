//! Keys in a token beside keys in software, the operation alone on one thread, in turn, by the second of processor time. The token is SoftHSM's, made for the run: what a
//! token costs by its interface. SoftHSM reads its configuration from the environment, so the work is a child's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use postern::gate::private_key::{OaepHash, PrivateKey};
use postern::gate::public_key::{Curve, KeyKind};
use postern::gate::register::{Custody, Entry};
use postern::keys::token::{KeyUri, Purpose, Token, TokenSettings, generate};
use postern::keys::{KeyFolder, KeySource, load_private_key};

use crate::raw::{Work, rate_alone};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const FOLDER: &str = "POSTERN_BENCH_TOKEN";
const PIN: &str = "234567";
const ROUNDS: usize = 5;

const KINDS: [(KeyKind, &str, &str); 4] = [
    (KeyKind::Ec(Curve::P256), "ECDH, P-256", "P-256"),
    (KeyKind::Ec(Curve::P384), "ECDH, P-384", "P-384"),
    (KeyKind::Rsa { bits: 2048 }, "RSA-OAEP with SHA-1, 2048 bits", "2048"),
    (KeyKind::Rsa { bits: 3072 }, "RSA-OAEP with SHA-1, 3072 bits", "3072"),
];

/// Whether this process is the child.
pub(crate) fn is_child() -> bool {
    std::env::var_os(FOLDER).is_some()
}

/// Makes a token and measures in a child.
pub(crate) fn in_a_child() {
    if !Path::new(MODULE).exists() {
        println!("raw, token: not measured, SoftHSM is not installed (Debian: softhsm2)");
        return;
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let file = |name: &str| folder.path().join(name);
    fs::create_dir(file("tokens")).expect("the tokens' folder");
    fs::write(file("softhsm2.conf"), format!("directories.tokendir = {}\n", file("tokens").display())).expect("softhsm2.conf");
    fs::write(file("pin"), PIN).expect("the PIN's file");
    fs::set_permissions(file("pin"), fs::Permissions::from_mode(0o600)).expect("chmod");
    let run = |command: &mut Command| {
        let status = command.env("SOFTHSM2_CONF", file("softhsm2.conf")).env(FOLDER, folder.path()).status().expect("a program");
        assert!(status.success(), "{command:?}: {status}");
    };
    let mut init = Command::new("softhsm2-util");
    init.stdout(std::process::Stdio::null());
    run(init.args(["--init-token", "--free", "--label", "bench", "--so-pin", "87654321", "--pin", PIN]));
    run(&mut Command::new(std::env::current_exe().expect("this program")));
}

/// Measures and prints, in the child.
pub(crate) fn measure() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the folder"));
    let settings = TokenSettings {
        config: folder.join("postern.toml"),
        module: PathBuf::from(MODULE),
        token: "bench".to_owned(),
        pin_file: folder.join("pin"),
        sessions: 4,
        refused_file: folder.join("refused"),
    };
    println!("1 thread, by the second of processor time, {ROUNDS} rounds; medians, ratios with (min..max)");
    println!();
    println!("| operation | software, operations/s | raw, token, operations/s | token / software |");
    println!("|---|---|---|---|");
    for (kind, name, algorithm) in KINDS {
        let (token, software) = (in_token(&folder, &settings, kind), in_software(algorithm));
        let (of_token, of_software) = (work(&*token), work(&*software));
        let mut rounds: Vec<[f64; 2]> =
            (0..ROUNDS).map(|_| [rate_alone(&*software, &of_software), rate_alone(&*token, &of_token)]).collect();
        let median = |rounds: &mut Vec<[f64; 2]>, of: fn(&[f64; 2]) -> f64| {
            rounds.sort_by(|one, other| of(one).total_cmp(&of(other)));
            [rounds[0], rounds[ROUNDS / 2], rounds[ROUNDS - 1]].map(|round| of(&round))
        };
        let [_, software, _] = median(&mut rounds, |round| round[0]);
        let [_, token, _] = median(&mut rounds, |round| round[1]);
        let [least, ratio, most] = median(&mut rounds, |round| round[1] / round[0]);
        println!("| {name} | {software:.0} | {token:.0} | {ratio:.2} ({least:.2}..{most:.2}) |");
    }
}

/// A new key of the token, loaded by a register entry as the gateway does.
fn in_token(folder: &Path, settings: &TokenSettings, kind: KeyKind) -> Arc<dyn PrivateKey> {
    let identifier = generate(&Token::of(settings), kind, Purpose::Decrypt).unwrap_or_else(|fault| panic!("{fault}")).key_identifier();
    let register = folder.join("register");
    fs::create_dir_all(&register).expect("the register");
    let entry = format!(
        "key_identifier = \"{identifier}\"\nrole = \"DCO\"\nalgorithm = \"{kind}\"\nfirst_day = 2026-01-01\nlast_day = 2026-12-31\n\
         groups = [\"AA\"]\nelements = [\"EncryptedMasterKey\"]\nstate = \"active\"\nprivate_key = \"{}\"\n",
        KeyUri::of(&identifier)
    );
    fs::write(register.join(format!("{identifier}.toml")), entry).expect("the entry");
    let source = KeySource {
        folder: folder.to_owned(),
        consumers: Vec::new(),
        passphrase: postern::keys::Passphrase::None,
        token: Some(settings.clone()),
    };
    let keys = KeyFolder::load(&source);
    let found = keys.register().entries().find(|(found, _)| **found == identifier);
    let Some((_, Entry::Whole(key))) = found else { panic!("{:?}", keys.faults()) };
    match &key.custody {
        Custody::Private(private) => Arc::clone(private),
        _ => panic!("{:?}", keys.faults()),
    }
}

/// A new key in software, made by OpenSSL's program.
fn in_software(algorithm: &str) -> Arc<dyn PrivateKey> {
    let (kind, option) = if algorithm.starts_with('P') {
        ("EC", format!("ec_paramgen_curve:{algorithm}"))
    } else {
        ("RSA", format!("rsa_keygen_bits:{algorithm}"))
    };
    let made = Command::new("openssl").args(["genpkey", "-algorithm", kind, "-pkeyopt", &option]).output().expect("openssl");
    load_private_key(&made.stdout, None).unwrap_or_else(|error| panic!("{error}"))
}

/// What the key has to do; SoftHSM does RSA-OAEP with SHA-1 only.
fn work(key: &dyn PrivateKey) -> Work {
    match key.public_key().kind() {
        KeyKind::Ec(_) => {
            let point = key.public_key().subject_public_key().to_vec();
            key.agree(&point).unwrap_or_else(|error| panic!("{error:?}"));
            Work::Agree(point)
        }
        KeyKind::Rsa { .. } => {
            let public = PublicEncryptingKey::from_der(key.public_key().info()).expect("a public key");
            let public = OaepPublicEncryptingKey::new(public).expect("a public key");
            let mut wrapped = vec![0; public.ciphertext_size()];
            public.encrypt(&OAEP_SHA1_MGF1SHA1, &[7; 32], &mut wrapped, None).expect("a ciphertext");
            key.unwrap_rsa_oaep(OaepHash::Sha1, &wrapped).unwrap_or_else(|error| panic!("{error:?}"));
            Work::Unwrap(OaepHash::Sha1, wrapped)
        }
    }
}
