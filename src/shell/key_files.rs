//! Changes to the key folder's files that follow from what was decided: a register entry's state, and the end of a
//! private half.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::fault::Fault;
use crate::gate::key_identifier::KeyIdentifier;
use crate::keys::token::{self, KeyUri, Token, TokenSettings};
use crate::migration::names::KeyState;

/// How a private key's file begins.
const PEM: &[u8; 10] = b"-----BEGIN";

/// Writes another `state` into a register entry, everything else in the file left as it is.
///
/// # Errors
/// The file can't be read or written, or has no line of its own for the state.
pub fn set_state(keys: &Path, identifier: &KeyIdentifier, state: KeyState) -> Result<(), Fault> {
    let path = entry_file(keys, identifier);
    let fault = || Fault::new("write the state of the key into", path.display());
    let text = fs::read_to_string(&path).map_err(|error| fault().because(error))?;
    let changed = with_value(&text, "state", &format!("\"{state}\""))
        .ok_or_else(|| fault().because("it has no single line `state = \"..\"`").remedy(format!("Write there: state = \"{state}\"")))?;
    replace(&path, &changed)
}

/// Destroys the private half of a key: overwrites and removes its file, or has the token remove it, and takes it out of
/// the entry. On media that copy on writing, older copies stay until they are overwritten there.
///
/// # Errors
/// The entry or the file can't be changed.
pub fn destroy(keys: &Path, identifier: &KeyIdentifier, token: Option<&TokenSettings>) -> Result<(), Fault> {
    let path = entry_file(keys, identifier);
    let fault = || Fault::new("take the private half out of", path.display());
    let text = fs::read_to_string(&path).map_err(|error| fault().because(error))?;
    let Some(named) = value(&text, "private_key") else { return Ok(()) };
    // Within a text of several lines a line that looks like the field is not the field.
    if text.contains("\"\"\"") || text.contains("'''") || text.lines().filter(|line| is_of(line, "private_key")).count() != 1 {
        return Err(fault().because("it has no single line `private_key = \"..\"`"));
    }
    let named = named.trim_matches(['"', '\'']);
    if KeyUri::is_meant(named) {
        let uri = KeyUri::parse(named).map_err(|why| fault().because(format!("private_key {why}")))?;
        let settings = token.ok_or_else(|| fault().because("its key is in a token, and the configuration has no [pkcs11]"))?;
        token::destroy(&Token::of(settings), &uri)?;
    } else {
        let file = path.parent().unwrap_or(Path::new("")).join(named);
        match wipe(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            done => done.map_err(|error| Fault::new("destroy the private key", file.display()).because(error))?,
        }
    }
    let without: String = text.lines().filter(|line| !is_of(line, "private_key")).map(|line| format!("{line}\n")).collect();
    replace(&path, &without)
}

fn entry_file(keys: &Path, identifier: &KeyIdentifier) -> PathBuf {
    keys.join("register").join(format!("{identifier}.toml"))
}

fn wipe(file: &Path) -> std::io::Result<()> {
    let mut open = OpenOptions::new().read(true).write(true).open(file)?;
    let length = open.metadata()?.len();
    // The entry is a text that others may have edited; what it names may be anything. Zeros are what was begun before.
    let mut beginning = [0; PEM.len()];
    open.read_exact(&mut beginning)?;
    if beginning != *PEM && beginning != [0; PEM.len()] {
        return Err(std::io::Error::other("it does not begin as a private key in PEM does"));
    }
    open.seek(SeekFrom::Start(0))?;
    std::io::copy(&mut std::io::repeat(0).take(length), &mut open)?;
    open.sync_all()?;
    fs::remove_file(file)?;
    sync_folder(file)
}

/// A whole new file in place of the old one, with its mode.
fn replace(path: &Path, text: &str) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::new("write the file", path.display()).because(error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mode = fs::metadata(path).map_err(fault)?.permissions().mode();
    let mut new = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(folder).map_err(fault)?;
    new.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(fault)?;
    new.write_all(text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(fault)?;
    new.persist(path).map_err(|error| fault(error.error))?;
    sync_folder(path).map_err(fault)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn is_of(line: &str, key: &str) -> bool {
    line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
}

/// What stands after `key =` on its line, a comment left out.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let line = text.lines().find(|line| is_of(line, key))?;
    let after = line.split_once('=')?.1;
    Some(after.split('#').next().unwrap_or(after).trim())
}

/// The text with another value on the one line of `key`.
fn with_value(text: &str, key: &str, new: &str) -> Option<String> {
    if text.lines().filter(|line| is_of(line, key)).count() != 1 {
        return None;
    }
    let old = value(text, key)?;
    let changed = text.lines().map(|line| if is_of(line, key) { line.replacen(old, new, 1) } else { line.to_owned() });
    Some(changed.map(|line| line + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_changes() {
        let text = "# a key\nrole = \"DCO\"\n  state = \"proposed\"   # proposed, active or revoked\nprivate_key = \"a.key.pem\"\n";
        let changed = with_value(text, "state", "\"active\"").unwrap();
        assert_eq!(changed, text.replace("= \"proposed\"", "= \"active\""));
        assert_eq!(with_value("role = 1\n", "state", "\"active\""), None);
        assert_eq!(with_value("state = 1\nstate = 2\n", "state", "\"active\""), None);
    }

    #[test]
    fn a_destroyed_key_is_gone_from_disk_and_entry() {
        let folder = tempfile::tempdir().unwrap();
        let register = folder.path().join("register");
        fs::create_dir(&register).unwrap();
        let identifier = KeyIdentifier::from_hex("44899792D196F4B8").unwrap();
        let entry = register.join("44899792D196F4B8.toml");
        fs::write(&entry, "state = \"revoked\"\nprivate_key = \"a.key.pem\" # here\n").unwrap();
        fs::write(register.join("a.key.pem"), "-----BEGIN secret").unwrap();
        // Another name of the same octets shows that they were overwritten, not only unlinked.
        fs::hard_link(register.join("a.key.pem"), folder.path().join("copy")).unwrap();
        destroy(folder.path(), &identifier, None).unwrap();
        assert_eq!(fs::read_to_string(&entry).unwrap(), "state = \"revoked\"\n");
        assert!(!register.join("a.key.pem").exists());
        assert_eq!(fs::read(folder.path().join("copy")).unwrap(), [0; 17]);
        destroy(folder.path(), &identifier, None).unwrap();
    }

    #[test]
    fn what_an_edited_entry_names_is_not_destroyed_in_the_key_s_place() {
        let folder = tempfile::tempdir().unwrap();
        let register = folder.path().join("register");
        fs::create_dir(&register).unwrap();
        let identifier = KeyIdentifier::from_hex("44899792D196F4B8").unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "root:x:0:0:root").unwrap();
        let line = format!("private_key = \"{}\"\n", victim.display());
        for text in [line.clone(), format!("public_key = \"\"\"\n{line}\"\"\"\n"), format!("{line}{line}")] {
            fs::write(register.join("44899792D196F4B8.toml"), text).unwrap();
            assert!(destroy(folder.path(), &identifier, None).is_err());
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "root:x:0:0:root");
    }
}
