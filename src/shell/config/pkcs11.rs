//! `[pkcs11]`: the token that private keys may be in. Whether it can be used is found out with the keys, so that a token
//! in trouble holds up the files that need it and no others.

use std::path::Path;

use super::read::path;
use crate::keys::token::TokenSettings;
use crate::table::Table;

/// As many as the cores of a small host; a network HSM may take more to be kept busy.
const SESSIONS: u64 = 4;
/// CK_TOKEN_INFO has room for so many octets.
const LABEL_OCTETS: usize = 32;
/// In the data folder.
const REFUSED: &str = "pkcs11-pin-refused";

pub(super) fn read(table: Table<'_, '_>, file: &Path, base: &Path, data: &Path) -> Option<TokenSettings> {
    let module = path(&table.required("module"), base);
    let token = table.required("token").parsed("a token's label, 1 to 32 octets", |text| {
        ((1..=LABEL_OCTETS).contains(&text.len()) && text.trim() == text).then(|| text.to_owned())
    });
    let pin_file = path(&table.required("pin_file"), base);
    let sessions = table.optional("sessions").integer(1..=1024).unwrap_or(SESSIONS);
    table.finish();
    Some(TokenSettings {
        config: file.to_owned(),
        module: module?,
        token: token?,
        pin_file: pin_file?,
        sessions: usize::try_from(sessions).unwrap_or(usize::MAX),
        refused_file: data.join(REFUSED),
    })
}
