//! A gateway with a SoftHSM token of its own, and files sealed to keys in it.
//!
//! SoftHSM takes its configuration from the environment, and a module is begun once in a process: whatever uses a token
//! runs as a child, either the program or this test program again with one test, which then sees whose child it is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::life::{Done, Running, done};
use crate::support::output;

pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub(crate) const LABEL: &str = "postern test";
pub(crate) const PIN: &str = "234567";
const FOLDER: &str = "POSTERN_TEST_DESK";
const SENDER: &str = "70-B3-D5-1F-30-00-A0-08";

pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// A working set of `postern init`, and a token with a key of each kind, entered in the register.
    pub(crate) fn new() -> Self {
        assert!(Path::new(MODULE).exists(), "{MODULE} is missing: run `./tests/run --setup` once, or install Debian's softhsm2");
        let desk = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        output(Command::new(env!("CARGO_BIN_EXE_postern")).arg("init").arg(desk.path()));
        fs::create_dir(desk.path().join("tokens")).expect("the tokens' folder");
        fs::create_dir(desk.path().join("sender-register")).expect("the sender's register");
        let tokens = desk.path().join("tokens");
        let softhsm = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
        fs::write(desk.path().join("softhsm2.conf"), softhsm).expect("softhsm2.conf");
        desk.put_pin(PIN);
        let file = desk.path().join("postern.toml");
        let text = fs::read_to_string(&file).expect("postern.toml");
        let text = text.replace("[gateway]\n", "[gateway]\nsettle_ms = 0\nrescan_ms = 100\n");
        fs::write(&file, format!("{text}\n[pkcs11]\nmodule = \"{MODULE}\"\ntoken = \"{LABEL}\"\npin_file = \"pin\"\nsessions = 2\n"))
            .expect("postern.toml");
        let mut init = desk.command("softhsm2-util");
        output(init.args(["--init-token", "--free", "--label", LABEL, "--so-pin", "87654321", "--pin", PIN]));
        desk.child("keys_are_made_in_the_token_and_named_by_their_identifiers");
        desk
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the desk that this process is a child of.
    pub(crate) fn of_the_parent() -> Option<PathBuf> {
        std::env::var_os(FOLDER).map(PathBuf::from)
    }

    pub(crate) fn put_pin(&self, pin: &str) {
        let file = self.path().join("pin");
        fs::write(&file, format!("{pin}\n")).expect("the PIN's file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("chmod");
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.path().join("softhsm2.conf")).env(FOLDER, self.path()).current_dir(self.path());
        command
    }

    /// Runs one of this program's tests again as a child, which does the test's work with this desk.
    pub(crate) fn child(&self, test: &str) {
        let program = std::env::current_exe().expect("this program");
        output(self.command(program).args(["--exact", test, "--nocapture"]));
    }

    pub(crate) fn postern(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_postern"));
        command.args(arguments).arg("--config").arg(self.path().join("postern.toml"));
        command
    }

    pub(crate) fn once(&self) -> Done {
        done(&mut self.postern(&["run", "--once", "--json"]))
    }

    pub(crate) fn start(&self) -> Running {
        Running::of(self.postern(&["run", "--json"]))
    }

    /// The identifier of the key that was made under this name.
    pub(crate) fn key(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(format!("{name}.made"))).expect("a key that was made")
    }

    /// The identifier of the P-256 key of role DCO that `postern init` makes as a file.
    pub(crate) fn software_key(&self) -> String {
        let entries = fs::read_dir(self.path().join("keys/register")).expect("the register");
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        let found = entries.map(|entry| entry.expect("an entry").path()).find(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let last_day = text.lines().find_map(|line| line.strip_prefix("last_day = ")?.get(..10)).unwrap_or_default();
            last_day > &*today && text.contains("role = \"DCO\"") && text.contains("\"P-256\"") && text.contains(".key.pem")
        });
        found.expect("a key").file_stem().expect("its name").to_string_lossy().into_owned()
    }

    /// Drops a file with one master key, sealed to this key by `postern seal`.
    pub(crate) fn drop_sealed(&self, name: &str, number: u32, key: &str, further: &[&str]) {
        let input = format!(
            r#"{{"type": "MigrationGroupEncryptedFile", "file_id": "F-{number}", "counter": {number}, "sender": "{SENDER}", "smso": "CGI",
                "group_id": "AA", "installations": [{{"installation_id": "INST-{number}", "devices": [
                {{"device_id": "90-B3-D5-1F-30-01-00-{number:02X}", "device_type": "ESME", "master_key": {{"hex": "000102030405060708090a0b0c0d0e0f"}}}}]}}]}}"#
        );
        let from = self.path().join("input.json");
        fs::write(&from, input).expect("the input");
        let register = if self.path().join(format!("sender-register/{key}.toml")).exists() { "sender-register" } else { "keys/register" };
        let (signer, certificate) = (format!("sender-private/{SENDER}.key.pem"), format!("keys/senders/{SENDER}/signing-1.pem"));
        let out = format!("in/cgi-live/{name}");
        let mut seal = self.postern(&["seal", "--from", "input.json", "--register", register, "--signing-key", &signer]);
        output(seal.args(["--certificate", &certificate, "--key-identifier", key, "--out", &out]).args(further));
    }

    /// `file: why` of everything that waits.
    pub(crate) fn waiting(&self) -> Vec<String> {
        // A gateway that has just begun may not have made it yet.
        let Ok(store) = postern::store::Store::open_read_only(&self.path().join("data")) else { return Vec::new() };
        let waiting = store.waiting().expect("what waits");
        waiting.iter().map(|one| format!("{}: {}", String::from_utf8_lossy(&one.name), one.text)).collect()
    }
}
