//! The certificates and revocation lists of the key folder, as octets. Whether they lead anywhere is the gate's to judge.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::files;
use crate::eui::Eui64;
use crate::fault::Fault;

/// A file of certificates; real ones have a few thousand octets.
const MAX_CERTIFICATE_OCTETS: u64 = 1 << 20;
/// A revocation list of a large authority has some ten million octets.
const MAX_CRL_OCTETS: u64 = 64 << 20;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// The file it stands in.
    pub path: PathBuf,
    /// Its DER.
    pub der: Vec<u8>,
}

/// One certificate revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlFile {
    /// The file it stands in.
    pub path: PathBuf,
    /// Its DER.
    pub der: Vec<u8>,
}

/// A folder of certificates: what is whole, and what is broken.
#[derive(Debug, Default)]
pub struct Certificates {
    /// Every certificate that could be read, in the byte order of the files' names.
    pub certificates: Vec<CertificateFile>,
    /// What could not be: a file, or the folder itself.
    pub broken: Vec<(PathBuf, Arc<Fault>)>,
}

/// The folder of revocation lists.
#[derive(Debug, Default)]
pub struct Crls {
    /// Every list that could be read. An authority may have several.
    pub crls: Vec<CrlFile>,
    /// What could not be: a file, or the folder itself. A broken list may be any authority's.
    pub broken: Vec<(PathBuf, Arc<Fault>)>,
}

/// The registered signing certificates of all senders.
#[derive(Debug, Default)]
pub struct Senders {
    senders: BTreeMap<Eui64, Certificates>,
    /// What belongs to no sender: the folder itself where it can't be listed, a folder whose name is no EUI-64. While
    /// the folder itself can't be listed, [`Senders::unreadable`] says so.
    pub broken: Vec<(PathBuf, Arc<Fault>)>,
    unreadable: Option<Arc<Fault>>,
}

impl Senders {
    /// The certificates registered for a sender; none is as good as an empty folder.
    pub fn of(&self, sender: Eui64) -> Option<&Certificates> {
        self.senders.get(&sender)
    }

    /// Every sender that has a folder.
    pub fn iter(&self) -> impl Iterator<Item = (Eui64, &Certificates)> {
        self.senders.iter().map(|(sender, certificates)| (*sender, certificates))
    }

    /// Why it can't be known who is registered, if so; every file waits then.
    pub fn unreadable(&self) -> Option<&Arc<Fault>> {
        self.unreadable.as_ref()
    }

    /// With other certificates in place of these.
    pub(super) fn with(&self, senders: BTreeMap<Eui64, Certificates>) -> Self {
        Self { senders, broken: self.broken.clone(), unreadable: self.unreadable.clone() }
    }

    pub(super) fn load(folder: &Path) -> Self {
        let mut senders = Self::default();
        if let Err(fault) = senders.load_all(folder) {
            let fault = Arc::new(fault);
            senders.unreadable = Some(Arc::clone(&fault));
            senders.broken.push((folder.to_owned(), fault));
        }
        senders
    }

    fn load_all(&mut self, folder: &Path) -> Result<(), Fault> {
        let fault = |error| Fault::new("list the folder", folder.display()).because(error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(fault)? {
            paths.push(entry.map_err(fault)?.path());
        }
        paths.sort_unstable();
        for path in paths.into_iter().filter(|path| path.is_dir()) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            match name.parse::<Eui64>() {
                Ok(sender) => {
                    let found = Certificates::load(&path);
                    // Two folders may name one sender, in different case.
                    let all = self.senders.entry(sender).or_default();
                    all.certificates.extend(found.certificates);
                    all.broken.extend(found.broken);
                }
                Err(error) => {
                    let fault = Fault::new("take the sender's folder", path.display()).because(error);
                    self.broken.push((path, Arc::new(fault)));
                }
            }
        }
        Ok(())
    }
}

impl Certificates {
    /// Every certificate in `folder/*.pem`; a file may hold several.
    pub(super) fn load(folder: &Path) -> Self {
        let mut loaded = Self::default();
        each_file(folder, "pem", &mut loaded.broken, |path| {
            let octets = files::read_public(path, MAX_CERTIFICATE_OCTETS)?;
            let read = certificates(&octets).map_err(|cause| Fault::new("read the certificate", path.display()).because(cause))?;
            loaded.certificates.extend(read.into_iter().map(|der| CertificateFile { path: path.to_owned(), der }));
            Ok(())
        });
        loaded
    }
}

impl Crls {
    /// Every list in `folder/*.crl`, DER or PEM. A folder that is not there has none: git keeps no empty ones.
    pub(super) fn load(folder: &Path) -> Self {
        let mut loaded = Self::default();
        if matches!(folder.try_exists(), Ok(false)) {
            return loaded;
        }
        each_file(folder, "crl", &mut loaded.broken, |path| {
            let octets = files::read_public(path, MAX_CRL_OCTETS)?;
            let read = crls(octets).map_err(|cause| Fault::new("read the certificate revocation list", path.display()).because(cause))?;
            loaded.crls.extend(read.into_iter().map(|der| CrlFile { path: path.to_owned(), der }));
            Ok(())
        });
        loaded
    }
}

/// DER of every certificate in a PEM text, at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let der = certificate.map_err(|error| format!("its PEM is broken: {error:?}"))?;
        match X509Certificate::from_der(&der) {
            Ok(([], _)) => found.push(der.to_vec()),
            Ok(_) => return Err("octets follow the certificate's DER".to_owned()),
            Err(error) => return Err(format!("it is not an X.509 certificate: {error}")),
        }
    }
    if found.is_empty() { Err("it holds no certificate in PEM".to_owned()) } else { Ok(found) }
}

fn crls(octets: Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
    let found = if octets.first() == Some(&0x30) {
        vec![octets]
    } else {
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&octets).collect();
        let lists = lists.map_err(|error| format!("its PEM is broken: {error:?}"))?;
        lists.into_iter().map(|list| list.to_vec()).collect()
    };
    for der in &found {
        match CertificateRevocationList::from_der(der) {
            Ok(([], _)) => {}
            Ok(_) => return Err("octets follow the list's DER".to_owned()),
            Err(error) => return Err(format!("it is not a certificate revocation list: {error}")),
        }
    }
    if found.is_empty() { Err("it holds no certificate revocation list".to_owned()) } else { Ok(found) }
}

fn each_file(folder: &Path, extension: &str, broken: &mut Vec<(PathBuf, Arc<Fault>)>, mut read: impl FnMut(&Path) -> Result<(), Fault>) {
    match files::list(folder, extension) {
        Ok(paths) => {
            for path in paths {
                if let Err(fault) = read(&path) {
                    broken.push((path, Arc::new(fault)));
                }
            }
        }
        Err(fault) => broken.push((folder.to_owned(), Arc::new(fault))),
    }
}
