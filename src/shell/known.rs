//! What the gateway knows from its key folder at one moment, evaluated once for all files judged at that moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::config::Config;
use super::epcl::EpclNow;
use super::rule::Rule;
use super::sims::SimsInForce;
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::certificate::Trust;
use crate::gate::key_identifier::KeyIdentifier;
use crate::gate::rules::Notified;
use crate::keys::KeyFolder;
use crate::messages::{ConsumerKey, GatewaySigner};
use crate::migration::names::Queue;
use crate::notice::notified;
use crate::store::Store;

/// One moment's keys.
pub struct Known {
    /// The key folder as loaded.
    folder: Arc<KeyFolder>,
    /// What counts of it: all, or what the officers have approved.
    pub keys: Arc<KeyFolder>,
    rule: Rule,
    /// Signers, authorities, CRLs.
    pub trust: Trust,
    /// Groups and SMSOs with a complete notification, where one is required.
    pub notified_groups: Option<Notified>,
    /// The SIM lists in force, where a group's information must agree with them.
    pub sims: Option<SimsInForce>,
    /// The list of eligible product combinations.
    pub epcl: EpclNow,
    signing: Result<ResultSigner, Arc<Fault>>,
    consumers: BTreeMap<Queue, Result<ConsumerKey, Arc<Fault>>>,
    troubles: Vec<String>,
}

/// The gateway's signing key and the key identifier of its certificate.
pub struct ResultSigner {
    /// The key.
    pub signer: GatewaySigner,
    /// What results name the certificate by.
    pub certificate_key_identifier: Vec<u8>,
}

/// The lists that files are held against, as of one moment.
struct Lists {
    sims: Option<SimsInForce>,
    epcl: EpclNow,
}

impl Lists {
    fn load(config: &Config, rule: &Rule, store: Option<&Store>) -> Self {
        Self { sims: SimsInForce::load(config, store), epcl: EpclNow::load(config, rule, store) }
    }
}

impl Known {
    /// Loads the key folder of a configuration, and what the officers have decided if a gateway has run before. Never
    /// fails: what is broken is told by [`Known::troubles`], and by whatever needs it.
    pub fn load(config: &Config) -> Self {
        let store = config.gateway.data.join(crate::store::FILE_NAME).exists().then(|| Store::open_read_only(&config.gateway.data));
        let (rule, store) = match store.transpose() {
            Ok(store) => (Rule::load(config, store.as_ref()), store),
            Err(fault) => (Rule::Unknown(Arc::new(fault), 0), None),
        };
        let lists = Lists::load(config, &rule, store.as_ref());
        Self::evaluate(KeyFolder::load(&config.key_source()), rule, lists, config)
    }

    /// As [`Known::load`], beside an open store.
    pub fn load_with(config: &Config, store: &Store) -> Self {
        let rule = Rule::load(config, Some(store));
        let lists = Lists::load(config, &rule, Some(store));
        Self::evaluate(KeyFolder::load(&config.key_source()), rule, lists, config)
    }

    /// What is known now, if the folder has changed or the officers have decided something.
    pub fn reload_if_changed(&self, config: &Config, store: &Store) -> Option<Self> {
        let folder = self.folder.reload_if_changed();
        let rule = self.rule.again(config, store);
        let notices = notified(config, self.keys.register(), Timestamp::now()) != self.notified_groups;
        let sims = self.sims.as_ref().and_then(|sims| sims.again(config, store));
        let look = || EpclNow::load(config, rule.as_ref().unwrap_or(&self.rule), Some(store));
        let epcl = (rule.is_some() || self.epcl.may_have_changed()).then(look).filter(|epcl| !epcl.is_same(&self.epcl));
        if folder.is_none() && rule.is_none() && sims.is_none() && epcl.is_none() && !notices {
            return None;
        }
        let folder = folder.unwrap_or_else(|| Arc::clone(&self.folder));
        let lists = Lists { sims: sims.or_else(|| self.sims.clone()), epcl: epcl.unwrap_or_else(|| self.epcl.clone()) };
        Some(Self::evaluate(folder, rule.unwrap_or_else(|| self.rule.clone()), lists, config))
    }

    fn evaluate(folder: Arc<KeyFolder>, rule: Rule, Lists { sims, epcl }: Lists, config: &Config) -> Self {
        let keys = match &rule {
            Rule::Officers(ledger, _) => folder.under(ledger),
            Rule::Free | Rule::Unknown(..) => Arc::clone(&folder),
        };
        let mut troubles: Vec<String> = keys.faults().iter().map(ToString::to_string).collect();
        if let Rule::Unknown(fault, _) = &rule {
            troubles.push(fault.to_string());
        }
        let trust = trust(&keys, &mut troubles);
        let signing = match keys.signing() {
            Ok(key) => GatewaySigner::from_pkcs8(key.pkcs8())
                .map(|signer| ResultSigner {
                    signer,
                    certificate_key_identifier: certificate_key_identifier(key.certificate(), key.public_key().subject_public_key()),
                })
                .map_err(Arc::new),
            Err(fault) => Err(Arc::clone(fault)),
        };
        let consumers = config.queues.iter().filter_map(|queue| {
            let key = match keys.consumer(queue.name)? {
                Ok(jwk) => ConsumerKey::from_jwk(jwk.as_bytes()).map_err(Arc::new),
                Err(fault) => Err(Arc::clone(fault)),
            };
            Some((queue.name, key))
        });
        let consumers: BTreeMap<_, _> = consumers.collect();
        let broken = signing.as_ref().err().filter(|_| !keys.signing_is_locked());
        let own = broken.into_iter().chain(consumers.values().filter_map(|key| key.as_ref().err()));
        let notified_groups = notified(config, keys.register(), Timestamp::now());
        let doubts = notified_groups.iter().flat_map(Notified::doubts).map(str::to_owned);
        for fault in own.map(ToString::to_string).chain(doubts) {
            if !troubles.contains(&fault) {
                troubles.push(fault);
            }
        }
        Self { trust, notified_groups, sims, epcl, signing, consumers, troubles, folder, keys, rule }
    }

    /// Everything broken in the key folder, each as a sentence that names the file.
    pub fn troubles(&self) -> &[String] {
        &self.troubles
    }

    /// The officers' rule.
    pub const fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The key folder as it lies there, whatever the officers say of it.
    pub const fn folder(&self) -> &Arc<KeyFolder> {
        &self.folder
    }

    /// The signing key for results and vouchers.
    ///
    /// # Errors
    /// It can't be used.
    pub fn signing(&self) -> Result<&ResultSigner, Fault> {
        self.signing.as_ref().map_err(|fault| Fault::new("use", "the gateway's signing key").because(fault.to_string()))
    }

    /// The consumer's public key of a queue.
    ///
    /// # Errors
    /// There is none, or it can't be used.
    pub fn consumer(&self, queue: Queue) -> Result<&ConsumerKey, Fault> {
        match self.consumers.get(&queue) {
            Some(Ok(key)) => Ok(key),
            Some(Err(fault)) => Err(Fault::new("use the consumer's key of queue", queue).because(fault.to_string())),
            None => Err(Fault::new("use the consumer's key of queue", queue).because("the configuration has no such [[queue]]")),
        }
    }
}

fn trust(keys: &KeyFolder, troubles: &mut Vec<String>) -> Trust {
    let octets = |files: &'_ [crate::keys::CertificateFile]| files.iter().map(|file| file.der.clone()).collect::<Vec<_>>();
    let anchors = octets(&keys.anchors().certificates);
    let anchors: Vec<&[u8]> = anchors.iter().map(Vec::as_slice).collect();
    let crls: Vec<&[u8]> = keys.crls().crls.iter().map(|file| file.der.as_slice()).collect();
    let broken = |broken: &[(std::path::PathBuf, Arc<Fault>)]| broken.iter().map(|(_, fault)| fault.to_string()).collect::<Vec<_>>();
    let registered: Vec<(Eui64, &crate::keys::CertificateFile)> =
        keys.senders().iter().flat_map(|(eui, files)| files.certificates.iter().map(move |file| (eui, file))).collect();
    let senders: Vec<(Eui64, &[u8])> = registered.iter().map(|(eui, file)| (*eui, file.der.as_slice())).collect();
    let (mut trust, found) = Trust::build(&anchors, &crls, &broken(&keys.crls().broken), &senders);
    let mut tell = |path: &std::path::Path, why: &str| {
        let text = Fault::new("use", path.display()).because(why.to_owned()).to_string();
        troubles.push(text.clone());
        text
    };
    let mut broken_anchors = broken(&keys.anchors().broken);
    broken_anchors.extend(found.anchors.iter().map(|(at, why)| tell(&keys.anchors().certificates[*at].path, why)));
    for (at, why) in &found.crls {
        tell(&keys.crls().crls[*at].path, why);
    }
    let mut broken_senders: Vec<(Option<Eui64>, String)> =
        keys.senders().unreadable().map(|fault| (None, fault.to_string())).into_iter().collect();
    for (eui, files) in keys.senders().iter() {
        broken_senders.extend(broken(&files.broken).into_iter().map(|why| (Some(eui), why)));
    }
    broken_senders.extend(found.senders.iter().map(|(at, why)| (Some(registered[*at].0), tell(&registered[*at].1.path, why))));
    trust.knowing_broken(broken_anchors, broken_senders);
    trust
}

/// The subjectKeyIdentifier of a certificate, or the key identifier by method 2 where it has none.
fn certificate_key_identifier(der: &[u8], public_key: &[u8]) -> Vec<u8> {
    use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};
    let certificate = X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate);
    let identifier = certificate.as_ref().and_then(|certificate| {
        certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
            _ => None,
        })
    });
    identifier.unwrap_or_else(|| KeyIdentifier::method_2(public_key).as_octets().to_vec())
}
