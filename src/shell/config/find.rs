//! Where the configuration file is.

use std::path::{Path, PathBuf};

use crate::fault::Fault;

const USUAL_PLACES: [&str; 2] = ["./postern.toml", "/etc/postern/postern.toml"];

/// The configuration file: the one that was named, else `./postern.toml`, else `/etc/postern/postern.toml`.
///
/// # Errors
/// No file was named and neither of the usual places has one.
pub fn find(explicit: Option<&Path>) -> Result<PathBuf, Fault> {
    if let Some(path) = explicit {
        return Ok(path.to_owned());
    }
    USUAL_PLACES.iter().map(PathBuf::from).find(|path| path.exists()).ok_or_else(|| {
        Fault::new("find the configuration", USUAL_PLACES.join(" or "))
            .remedy("Name it with --config FILE, or make a working set with `postern init DIR`.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_is_taken_as_named() {
        assert_eq!(find(Some(Path::new("elsewhere.toml"))).unwrap(), Path::new("elsewhere.toml"));
    }
}
