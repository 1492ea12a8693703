//! The tables, and how a connection to them is made.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::rows::Trouble;
use super::{demand, epcl, outgoing, sets, signatures, sim_finals, sims, tallies, upgrade};
use crate::fault::Fault;

/// The version in `user_version`. A later program that changes the tables adds a step from each earlier version to [`upgrade`].
const VERSION: i64 = 4;

/// How long a writer waits for another process's transaction before it is a fault (and tried again by the caller).
const BUSY: Duration = Duration::from_secs(20);

/// `claim.state`: 0 intended, 1 claimed, 2 judged, 3 settled. `stage.state`: 0 open, 1 revealed, 2 dropped.
/// `result_part.section`: 0 head, 1 body, 2 foot.
///
/// `forwarded.beginning` is the beginning of the JWE of every message in it, `sealed.octets` the rest: IV, ciphertext, tag.
/// A message's narrow row is apart from its octets, so that leasing rewrites and scans few pages.
/// SQLite uses a partial index only where the query repeats the index's own condition, so the queries do.
/// `verdict.stage` references no row, because dropping a stage would look through every verdict then.
/// `stage.refusals_sha256` and `forwarded.messages_sha256` are running digests over their rows in order
/// ([`super::staging`]), so that a commit needn't read them all.
const TABLES: &str = "
CREATE TABLE claim (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    location TEXT NOT NULL,
    name BLOB NOT NULL,
    private_name TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    state INTEGER NOT NULL,
    sha256 BLOB,
    size INTEGER,
    claimed_at INTEGER,
    verdict INTEGER REFERENCES verdict (id)
) STRICT;
CREATE INDEX claim_open ON claim (state, id) WHERE state < 3;
CREATE INDEX claim_by_sha256 ON claim (sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX claim_by_verdict ON claim (verdict) WHERE verdict IS NOT NULL;

CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    claim INTEGER NOT NULL REFERENCES claim (id),
    result_id TEXT NOT NULL UNIQUE,
    location TEXT NOT NULL,
    location_kind TEXT NOT NULL,
    sender TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL,
    file_name TEXT NOT NULL,
    sha256 BLOB,
    received INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    file_kind TEXT,
    file_id TEXT,
    counter INTEGER,
    outcome TEXT NOT NULL,
    error_code TEXT,
    error_told TEXT,
    error_detail TEXT,
    accepted INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    original INTEGER REFERENCES verdict (id),
    stage INTEGER,
    register_sha256 BLOB,
    notes TEXT NOT NULL,
    audit_seq INTEGER REFERENCES audit (seq),
    body_of INTEGER REFERENCES verdict (id),
    result_sha256 BLOB,
    result_name TEXT,
    kept INTEGER,
    kept_path TEXT,
    settled_at INTEGER
) STRICT;
CREATE INDEX verdict_by_claim ON verdict (claim);
CREATE INDEX verdict_by_location ON verdict (location, outcome);
CREATE INDEX verdict_by_file_id ON verdict (file_id) WHERE file_id IS NOT NULL;
CREATE INDEX verdict_accepted ON verdict (sha256, sender, location_kind) WHERE outcome IN ('Accepted', 'PartlyAccepted');
CREATE INDEX verdict_quarantined ON verdict (claim) WHERE kept = 1;
CREATE INDEX verdict_by_audit ON verdict (audit_seq);

CREATE TABLE stage (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    claim INTEGER NOT NULL REFERENCES claim (id),
    state INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    refusals_sha256 BLOB NOT NULL
) STRICT;
CREATE INDEX stage_by_claim ON stage (claim);
CREATE INDEX stage_dropped ON stage (id) WHERE state = 2;

CREATE TABLE refusal (
    id INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL REFERENCES stage (id),
    installation_id TEXT NOT NULL,
    device TEXT,
    code TEXT NOT NULL,
    told TEXT NOT NULL,
    detail TEXT
) STRICT;
CREATE INDEX refusal_by_stage ON refusal (stage);

CREATE TABLE refusal_count (
    stage INTEGER NOT NULL REFERENCES stage (id),
    code TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (stage, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE forwarded (
    stage INTEGER NOT NULL REFERENCES stage (id),
    queue TEXT NOT NULL,
    verdict INTEGER REFERENCES verdict (id),
    beginning TEXT NOT NULL,
    total INTEGER NOT NULL,
    messages_sha256 BLOB NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    acknowledged_at INTEGER,
    PRIMARY KEY (stage, queue)
) STRICT, WITHOUT ROWID;
CREATE INDEX forwarded_open ON forwarded (queue, verdict) WHERE verdict IS NOT NULL AND acknowledged < total;

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    stage INTEGER NOT NULL,
    queue TEXT NOT NULL,
    message_id BLOB NOT NULL,
    installation_id TEXT NOT NULL,
    leased_until INTEGER NOT NULL DEFAULT 0,
    lease BLOB,
    FOREIGN KEY (stage, queue) REFERENCES forwarded (stage, queue)
) STRICT;
CREATE INDEX message_by_stage ON message (stage, queue, leased_until);
CREATE INDEX message_leased ON message (queue, leased_until) WHERE leased_until > 0;

CREATE TABLE sealed (
    message INTEGER PRIMARY KEY REFERENCES message (id) ON DELETE CASCADE,
    octets BLOB NOT NULL
) STRICT;

CREATE TABLE result_part (
    id INTEGER PRIMARY KEY,
    verdict INTEGER NOT NULL REFERENCES verdict (id),
    section INTEGER NOT NULL,
    part INTEGER NOT NULL,
    octets BLOB NOT NULL,
    UNIQUE (verdict, section, part)
) STRICT;

CREATE TABLE used_file_id (
    id INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    location_kind TEXT NOT NULL,
    file_id TEXT NOT NULL,
    verdict INTEGER NOT NULL REFERENCES verdict (id),
    UNIQUE (sender, location_kind, file_id)
) STRICT;

CREATE TABLE used_counter (
    id INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    location_kind TEXT NOT NULL,
    file_kind TEXT NOT NULL,
    counter INTEGER NOT NULL,
    verdict INTEGER NOT NULL REFERENCES verdict (id),
    UNIQUE (sender, location_kind, file_kind, counter)
) STRICT;

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    on_behalf_of TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE TABLE waiting (
    id INTEGER PRIMARY KEY,
    location TEXT NOT NULL,
    name BLOB NOT NULL,
    text TEXT NOT NULL,
    since INTEGER NOT NULL,
    UNIQUE (location, name)
) STRICT;
";

/// What version 3 has beside the tables of version 2.
///
/// An index on `audit (seq)` alone looks idle beside the table's own order: it is partial, so that the few acts among millions of
/// verdicts and results are found without reading those.
const SINCE_VERSION_3: &str = "
CREATE TABLE key_use (
    verdict INTEGER NOT NULL REFERENCES verdict (id),
    key_identifier BLOB NOT NULL,
    elements INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    PRIMARY KEY (verdict, key_identifier)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_use_by_key ON key_use (key_identifier, verdict, elements, uses);

CREATE INDEX audit_acts ON audit (seq) WHERE kind <> 'verdict' AND kind <> 'result';
CREATE INDEX audit_decisions ON audit (seq) WHERE kind IN ('founding', 'statement');
CREATE INDEX audit_registers ON audit (subject) WHERE kind = 'register';
";

/// What version 4 has beside the tables of version 3; each module has its own.
const SINCE_VERSION_4: &[&str] =
    &[outgoing::TABLES, signatures::TABLES, demand::TABLES, tallies::TABLES, sets::TABLES, sims::TABLES, sim_finals::TABLES, epcl::INDEXES];

/// Makes the folder (0700) and an empty file (0600) where there is none. SQLite gives its own files beside it the
/// mode of the database, so the mode must be right before the first connection.
pub(super) fn make_file(folder: &Path, file: &Path) -> Result<(), Fault> {
    let fault = |operation, path: &Path, error: io::Error| Fault::new(operation, path.display()).because(error);
    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| fault("create the data folder", folder, error))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(made) => {
            let synced = made.sync_all().and_then(|()| File::open(folder)?.sync_all());
            synced.map_err(|error| fault("create the database", file, error))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = fs::metadata(file).map_err(|error| fault("read the mode of the database", file, error))?.permissions().mode();
            if mode & 0o077 != 0 {
                let narrowed = fs::set_permissions(file, Permissions::from_mode(0o600));
                narrowed.map_err(|error| fault("take the database from others' reach", file, error))?;
            }
            Ok(())
        }
        Err(error) => Err(fault("create the database", file, error)),
    }
}

/// A connection with its settings.
pub(super) fn connect(file: &Path, writable: bool) -> Result<Connection, Fault> {
    let access = if writable { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let all = || -> Result<Connection, Trouble> {
        let connection = Connection::open_with_flags(file, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(128);
        // A statement's plan must not hang on the values it is given, or SQLite makes it anew for each new value.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        if writable {
            write_ahead(&connection)?;
            connection.pragma_update(None, "synchronous", "full")?;
            // [`super::Store::checkpoint`] copies the log, beside those who write. Where nobody calls it, a writer does: at 128 MiB.
            connection.pragma_update_and_check(None, "wal_autocheckpoint", 32_768, |_| Ok(()))?;
            // Keeps what a big file left in the log from holding disk space for ever: 64 MiB.
            connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
        }
        Ok(connection)
    };
    all().map_err(|trouble| trouble.into_fault("open the database", file))
}

/// Switches to the write-ahead log. Where two processes open a new database at once, SQLite doesn't wait for the other
/// to have switched but says busy, so the waiting is done here.
fn write_ahead(connection: &Connection) -> Result<(), Trouble> {
    let start = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return Ok(done?),
        }
    }
}

/// Makes the tables in an empty database; refuses one of another version.
pub(super) fn bring_up_to_date(connection: &Connection, file: &Path) -> Result<(), Fault> {
    let all = || -> Result<(), Trouble> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let found = version(connection)?;
        match found {
            0 => connection.execute_batch(TABLES)?,
            1 => upgrade::from_version_1(connection)?,
            2 | 3 => {}
            _ => return Ok(connection.execute_batch("COMMIT")?),
        }
        if found < 3 {
            connection.execute_batch(SINCE_VERSION_3)?;
        }
        for tables in SINCE_VERSION_4 {
            connection.execute_batch(tables)?;
        }
        connection.pragma_update(None, "user_version", VERSION)?;
        Ok(connection.execute_batch("COMMIT")?)
    };
    all().map_err(|trouble| trouble.into_fault("make the tables", file))?;
    require_version(connection, file)
}

/// Refuses a database of another version.
pub(super) fn require_version(connection: &Connection, file: &Path) -> Result<(), Fault> {
    let start = Instant::now();
    let found = loop {
        match version(connection).map_err(|trouble| trouble.into_fault("read the version", file))? {
            // Another process is making the tables.
            0 if start.elapsed() < BUSY => std::thread::sleep(Duration::from_millis(10)),
            found => break found,
        }
    };
    if found == VERSION {
        return Ok(());
    }
    let why = format!("its version is {found}, this program knows version {VERSION}");
    Err(Fault::new("use the database", file.display()).because(why).remedy("Run the postern that made it, or a later one."))
}

fn version(connection: &Connection) -> Result<i64, Trouble> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}
