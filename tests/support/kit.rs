//! A working set of `postern init`, and senders that seal files for it and drop them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::{Timestamp, ToSpan as _};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::output;

/// The SMSO's sender and the supplier of the set.
pub(crate) const SMSO: &str = "70-B3-D5-1F-30-00-A0-08";
pub(crate) const SUPPLIER: &str = "90-B3-D5-1F-30-00-00-02";

/// One gateway's folders and its senders' keys.
pub(crate) struct Kit {
    folder: tempfile::TempDir,
}

impl Kit {
    /// A new set that takes files at once; group CA needs both files of an installation. `more` stands at the configuration's end.
    pub(crate) fn new(more: &str) -> Self {
        let kit = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        output(Command::new(env!("CARGO_BIN_EXE_postern")).arg("init").arg(kit.path()).stdin(Stdio::null()));
        let text = fs::read_to_string(kit.configuration()).expect("postern.toml");
        let text = text.replacen("[gateway]\n", "[gateway]\nsettle_ms = 0\nrescan_ms = 100\n", 1);
        let text = text.replace("\nneeds_mgef = true\n", "\n");
        let text = text.replacen("id = \"CA\"\n", "id = \"CA\"\nneeds_mgef = true\n", 1);
        let second = format!(
            "\n[[location]]\nname = \"cgi-second\"\nkind = \"migration\"\nsender = \"{SMSO}\"\nsmso = \"CGI\"\ninbound = \"in/cgi-second\"\noutbound = \"out/cgi-second\"\n"
        );
        for folder in ["in/cgi-second", "out/cgi-second"] {
            fs::create_dir(kit.path().join(folder)).expect("a folder");
        }
        fs::write(kit.configuration(), format!("{text}{second}\n{more}\n")).expect("postern.toml");
        kit
    }

    /// The same configuration and keys, with nothing judged yet.
    pub(crate) fn twin(&self) -> Self {
        let twin = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        copy(self.path(), twin.path());
        twin
    }

    /// Some audit entries that commitments can hang on.
    pub(crate) fn fill_the_log(&self) {
        for name in ["a", "b", "c", "d"] {
            self.drop_at("mds-live", &format!("{name}.xml"), b"<no");
        }
        self.once();
    }

    /// Commits to so many installations of the supplier for today and the days around it. Its demand was due weeks ago, which no test can
    /// wait for, so it is put where the gateway would have kept it.
    pub(crate) fn commit(&self, number: i64) {
        let database = Connection::open(self.path().join("data/state.db")).expect("state.db");
        let today = jiff::tz::TimeZone::get("Europe/London").unwrap().to_datetime(Timestamp::now()).date();
        let days = [today.checked_sub(1.day()).unwrap(), today, today.checked_add(1.day()).unwrap()];
        let week = |day: jiff::civil::Date| day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).unwrap().to_string();
        for week in days.iter().map(|day| week(*day)).collect::<std::collections::BTreeSet<_>>() {
            let sql = "INSERT OR IGNORE INTO demand (supplier, smso, week, version, verdict, location, received, late, is_open)
                SELECT ?1, 'CGI', ?2, 1, MIN(id), 'demand', 0, NULL, 0 FROM verdict";
            database.execute(sql, (SUPPLIER, &week)).expect("demand");
            let sql = "INSERT INTO commitment (demand, origin, is_pro_rata, made, made_by, reason, audit_seq)
                SELECT d.id, 'whole', 0, 0, 'a test', '', (SELECT MAX(a.seq) FROM audit a WHERE a.seq NOT IN (SELECT audit_seq FROM commitment))
                FROM demand d WHERE d.week = ?1";
            database.execute(sql, [&week]).expect("a commitment");
        }
        for day in days {
            let sql = "INSERT INTO commitment_line (commitment, day, distributor, number)
                SELECT MAX(c.id), ?1, '19', ?2 FROM commitment c JOIN demand d ON d.id = c.demand WHERE d.week = ?3";
            database.execute(sql, (day.to_string(), number, week(day))).expect("its line");
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.path().join("postern.toml")
    }

    pub(crate) fn postern(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(arguments).arg("--config").arg(self.configuration()).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// The octets of a file that a sender of the set seals.
    pub(crate) fn seal(&self, input: &Value) -> Vec<u8> {
        let sender = input["sender"].as_str().expect("a sender");
        let (plain, sealed) = (self.path().join("sealing.json"), self.path().join("sealed.xml"));
        fs::write(&plain, input.to_string()).expect("write the plain data");
        let key = self.path().join(format!("sender-private/{sender}.key.pem"));
        let certificate = self.path().join(format!("keys/senders/{sender}/signing-1.pem"));
        let mut seal = Command::new(env!("CARGO_BIN_EXE_postern"));
        seal.args(["seal", "--force", "--register"]).arg(self.path().join("keys/register"));
        seal.arg("--from").arg(&plain).arg("--signing-key").arg(key).arg("--certificate").arg(certificate).arg("--out").arg(&sealed);
        output(seal.stdin(Stdio::null()));
        fs::read(sealed).expect("what was sealed")
    }

    pub(crate) fn drop_at(&self, location: &str, name: &str, octets: &[u8]) {
        fs::write(self.path().join("in").join(location).join(name), octets).expect("drop a file");
    }

    /// `run --once --json`: an event a file.
    pub(crate) fn once(&self) -> Vec<Value> {
        lines(&output(&mut self.postern(&["run", "--once", "--json"])))
    }

    /// `command --json`: an object a line.
    pub(crate) fn asked(&self, arguments: &[&str]) -> Vec<Value> {
        let mut command = self.postern(arguments);
        lines(&output(command.arg("--json")))
    }

    /// The text of a file in an outbound folder.
    pub(crate) fn result(&self, location: &str, name: &str) -> String {
        fs::read_to_string(self.path().join("out").join(location).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The InstallationIDs of messages that can be taken now, by queue; they stay leased.
    pub(crate) fn take(&self) -> Vec<(String, String)> {
        let mut taken = Vec::new();
        for queue in ["s1sp", "dco", "common"] {
            let key = format!("consumer-private/{queue}.jwk");
            for message in self.asked(&["queue", "take", queue, "--max", "1000", "--key", &key]) {
                taken.push((queue.to_owned(), message["message"]["installation_id"].as_str().expect("an id").to_owned()));
            }
        }
        taken
    }
}

pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"))).collect()
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a folder's entry");
        let (target, metadata) = (to.join(entry.file_name()), entry.metadata().expect("its metadata"));
        if metadata.is_dir() {
            fs::create_dir(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copy a file");
        }
        fs::set_permissions(&target, fs::Permissions::from_mode(metadata.permissions().mode())).expect("chmod");
    }
}

/// A group file of group CA: by installation, the last octet of its meter's DeviceID.
pub(crate) fn group_file(file_id: &str, counter: u64, installations: &[(u8, u8)]) -> Value {
    let installations: Vec<Value> = installations
        .iter()
        .map(|(number, device)| {
            json!({"installation_id": format!("INST-{number:07}"), "devices": [{"device_id": meter(*number, *device), "device_type": "ESME",
                "master_key": {"hex": "ab".repeat(16)}}]})
        })
        .collect();
    json!({"type": "MigrationGroupEncryptedFile", "file_id": file_id, "counter": counter, "sender": SMSO, "smso": "CGI", "group_id": "CA",
        "installations": installations})
}

/// A common file of the same installations, from `sender`.
pub(crate) fn common_file(sender: &str, file_id: &str, counter: u64, installations: &[(u8, u8)]) -> Value {
    let installations: Vec<Value> =
        installations.iter().map(|(number, device)| common(*number, *device, SUPPLIER, "1900012345670")).collect();
    json!({"type": "MigrationCommonFile", "file_id": file_id, "counter": counter, "sender": sender, "smso": "cgi",
        "installations": installations})
}

/// One installation of a common file.
pub(crate) fn common(number: u8, device: u8, supplier: &str, mpan: &str) -> Value {
    json!({"installation_id": format!("INST-{number:07}"), "group_id": "CA", "meter_status": "Active", "responsible_supplier": supplier,
        "mpan": mpan, "communications_provider": "TEF", "devices": [{"device_id": meter(number, device), "device_type": "ESME",
        "manufacturer": "Acme", "model": "E1", "firmware_version": "1.0"}]})
}

/// A meter's DeviceID.
pub(crate) fn meter(number: u8, device: u8) -> String {
    format!("90-B3-D5-1F-30-01-{number:02X}-{device:02X}")
}
