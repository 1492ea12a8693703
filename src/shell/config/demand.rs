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
    /// Whether no more is admitted live on a day than what is committed for it.
    pub cap_live_admission: bool,
}

impl DemandSettings {
    /// Those of a configuration without the table.
    pub fn standing_in(data: &Path) -> Self {
        Self { reports: data.join(REPORTS), cap_live_admission: false }
    }
}

pub(super) fn read(table: Table<'_, '_>, base: &Path, data: &Path, seen: &mut Seen) -> DemandSettings {
    let reports = table.optional("reports");
    let folder = path(&reports, base);
    if let Some(folder) = &folder {
        seen.folders.push((reports.line(), reports.place().to_owned(), folder.clone()));
    }
    let cap_live_admission = table.optional("cap_live_admission").flag().unwrap_or(false);
    table.finish();
    DemandSettings { cap_live_admission, reports: folder.unwrap_or_else(|| data.join(REPORTS)) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::shell::config::Config;

    const SAMPLE: &str = include_str!("sample.toml");

    fn read(further: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("postern.toml");
        std::fs::write(&file, format!("{SAMPLE}\n{further}")).unwrap();
        let told = |mistakes: Vec<_>| mistakes.iter().map(ToString::to_string).collect::<Vec<String>>().join("\n");
        Config::read(&file).map_err(told)
    }

    #[test]
    fn reports_have_a_folder_of_their_own() {
        assert!(read("").unwrap().demand.reports.ends_with("data/reports"));
        assert!(read("[demand]\n").unwrap().demand.reports.ends_with("data/reports"));
        assert!(read("[demand]\nreports = \"reports\"\n").unwrap().demand.reports.ends_with(Path::new("reports")));
        let told = read("[demand]\nreports = \"in/cgi-live/reports\"\nreport = 1\n").unwrap_err();
        assert!(told.contains("[demand] reports: ") && told.contains("lies inside") && told.contains("\"reports\""), "{told}");
    }
}
