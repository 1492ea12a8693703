//! The folders that a configuration names: there, and usable by this user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::Access;

use super::Findings;
use crate::shell::config::Config;

pub(super) fn look(config: &Config, findings: &mut Findings) {
    let gateway = &config.gateway;
    if !gateway.data.as_os_str().is_empty() {
        data(&gateway.data, gateway.min_free_bytes, findings);
    }
    if !gateway.keys.as_os_str().is_empty() && usable("[gateway] keys", &gateway.keys, Access::READ_OK | Access::EXEC_OK, findings) {
        private("[gateway] keys", &gateway.keys, findings);
    }
    for location in &config.locations {
        for (key, path) in [("inbound", &location.inbound), ("outbound", &location.outbound)] {
            let what = format!("[[location]] \"{}\" {key}", location.name);
            usable(&what, path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK, findings);
        }
    }
}

/// The data folder is made by `run` where it is not there, so that its parent must take it.
fn data(path: &Path, min_free_bytes: u64, findings: &mut Findings) {
    let what = "[gateway] data";
    let standing = path.ancestors().find(|ancestor| ancestor.exists() || ancestor.as_os_str().is_empty()).unwrap_or(path);
    let standing = if standing.as_os_str().is_empty() { Path::new(".") } else { standing };
    if !usable(what, standing, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK, findings) {
        return;
    }
    if standing == path {
        private(what, path, findings);
    }
    if let Ok(room) = rustix::fs::statvfs(standing) {
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        if free < min_free_bytes {
            findings.error(format!(
                "{what}: {} has {free} octets free, less than min_free_bytes {min_free_bytes}, so that intake would pause",
                standing.display()
            ));
        }
    }
}

fn usable(what: &str, path: &Path, access: Access, findings: &mut Findings) -> bool {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.error(format!("{what}: the folder {shown} is not there. Run: mkdir -p {shown}"));
            false
        }
        Err(error) => {
            findings.error(format!("{what}: {shown}: {error}"));
            false
        }
        Ok(metadata) if !metadata.is_dir() => {
            findings.error(format!("{what}: {shown} is not a folder"));
            false
        }
        Ok(_) => match rustix::fs::access(path, access) {
            Ok(()) => true,
            Err(error) => {
                let wanted = if access.contains(Access::WRITE_OK) { "read and written" } else { "read" };
                findings.error(format!("{what}: the folder {shown} can't be {wanted} by this user: {error}"));
                false
            }
        },
    }
}

fn private(what: &str, path: &Path, findings: &mut Findings) {
    if let Ok(metadata) = fs::metadata(path)
        && metadata.mode() & 0o077 != 0
    {
        let mode = metadata.mode() & 0o7777;
        findings
            .warning(format!("{what}: the folder has mode {mode:04o}, others than its owner may enter. Run: chmod 700 {}", path.display()));
    }
}
