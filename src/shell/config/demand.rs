//! `[demand]`: what the gateway makes of Daily Migration Demand (TMAD 4.8).

use std::path::{Path, PathBuf};

use super::read::{Seen, path};
use crate::table::Table;

/// In the data folder.
const REPORTS: &str = "reports";

/// `[demand]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemandSettings {
    /// Where summary reports are written; by default `reports` in the data folder.
    pub reports: PathBuf,
}

impl DemandSettings {
    /// Those of a configuration without the table.
    pub fn standing_in(data: &Path) -> Self {
        Self { reports: data.join(REPORTS) }
    }
}

pub(super) fn read(table: Table<'_, '_>, base: &Path, data: &Path, seen: &mut Seen) -> DemandSettings {
    let reports = table.optional("reports");
    let folder = path(&reports, base);
    if let Some(folder) = &folder {
        seen.folders.push((reports.line(), reports.place().to_owned(), folder.clone()));
    }
    table.finish();
    folder.map_or_else(|| DemandSettings::standing_in(data), |reports| DemandSettings { reports })
}
