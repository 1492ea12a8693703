//! Opened installations become sealed messages, on the worker that opened them: plaintext does not travel.

use std::sync::OnceLock;

use jiff::Timestamp;

use crate::eui::Eui64;
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::gate::key_uses::KeyUses;
use crate::gate::opened::{Content, Opened};
use crate::gate::survey::Current;
use crate::gate::verdict::InstallationVerdict;
use crate::messages::{Envelope, FileFacts, Item, Payload, Seal, SealedItem};
use crate::migration::distributor::Distributor;
use crate::migration::names::Queue;
use crate::migration::result::seconds;
use crate::migration::sets::Half;
use crate::migration::sim_list::Imsi;
use crate::shell::config::Location;
use crate::shell::known::Known;
use crate::store::{QueueMessage, SimUse};

/// One installation on its way out of the gate.
pub struct Passed {
    /// What was decided of it.
    pub verdict: InstallationVerdict,
    /// What is forwarded, one a queue at the most.
    pub messages: Vec<QueueMessage>,
    /// Its DCCRequestReference, of a common file.
    pub request_reference: Option<String>,
    /// The keys that it named and used.
    pub keys: KeyUses,
    /// Of a common file: whose it counts as, and the distributor that its MPAN names.
    pub supplier: Option<(Eui64, Option<Distributor>)>,
    /// What its other half must fit, where its group needs both.
    pub half: Option<Half>,
    /// The SIM that it uses, where its group's SIMs are listed.
    pub sim: Option<SimUse>,
}

/// Seals one file's messages.
pub struct Sealer<'a> {
    location: &'a Location,
    arrival: Timestamp,
    sha256: Sha256,
    known: &'a Known,
    made: [OnceLock<Result<(Envelope, Seal), String>>; 3],
}

impl<'a> Sealer<'a> {
    /// For the file with this digest, which arrived then at this location.
    pub fn new(location: &'a Location, arrival: Timestamp, sha256: Sha256, known: &'a Known) -> Self {
        Self { location, arrival, sha256, known, made: Default::default() }
    }

    /// Seals what one installation forwards.
    ///
    /// # Errors
    /// The consumer's or the gateway's key can't be used.
    pub fn pass_on(&self, current: &Current<'_>, opened: Opened) -> Result<Passed, Fault> {
        let mut messages = Vec::new();
        for queue in Queue::ALL.iter().copied() {
            let fields = opened.common.as_ref().filter(|_| queue == Queue::Common);
            let of_queue = || opened.items.iter().filter(move |item| item.element.queue() == queue);
            if fields.is_none() && of_queue().next().is_none() {
                continue;
            }
            let identifiers: Vec<String> = of_queue().map(|item| item.key_identifier.to_string()).collect();
            let mut items = Vec::new();
            let mut sealed_items = Vec::new();
            for (item, key_identifier) in of_queue().zip(&identifiers) {
                let (device_id, device_type) = item.device.unzip();
                match &item.content {
                    Content::Opened(content) => items.push(Item { element: item.element, device_id, device_type, key_identifier, content }),
                    Content::Sealed(encrypted_data) => {
                        sealed_items.push(SealedItem { element: item.element, device_id, key_identifier, encrypted_data })
                    }
                }
            }
            let payload = fields.map_or(Payload::Items(&items), Payload::Installation);
            let message = self.seal(queue, current, &opened.verdict.installation_id, payload, &sealed_items)?;
            messages.push(QueueMessage { held: opened.half.is_some(), ..message });
        }
        let sim = opened.sim.map(|imsi| self.used(imsi, current, &opened.verdict.installation_id)).transpose()?;
        let Opened { verdict, request_reference, keys, supplier, half, .. } = opened;
        Ok(Passed { verdict, messages, request_reference, keys, supplier, half, sim })
    }

    /// That an installation uses a SIM, by the list that it was judged by.
    fn used(&self, imsi: Imsi, current: &Current<'_>, installation_id: &str) -> Result<SimUse, Fault> {
        let smso = current.header().smso.to_ascii_uppercase();
        let lists = self.known.sims.as_ref().ok_or_else(|| Fault::new("find", "the SIM list that a file was judged by"))?;
        Ok(SimUse { version: lists.lists.of(&smso)?.version(), smso, installation_id: installation_id.to_owned(), imsi })
    }

    fn seal(
        &self,
        queue: Queue,
        current: &Current<'_>,
        installation_id: &str,
        payload: Payload<'_>,
        sealed_items: &[SealedItem<'_>],
    ) -> Result<QueueMessage, Fault> {
        let made = self.made[queue as usize].get_or_init(|| self.make(queue, current).map_err(|fault| fault.to_string()));
        let (envelope, seal) = made.as_ref().map_err(|why| Fault::new("seal messages for queue", queue).because(why.clone()))?;
        let sealed = seal.seal(envelope.message(installation_id, payload, sealed_items)?)?;
        let (message_id, installation_id) = (envelope.message_id(installation_id), installation_id.to_owned());
        Ok(QueueMessage { queue, message_id, installation_id, sealed, held: false })
    }

    /// What the messages of one queue have in common, made once a file.
    fn make(&self, queue: Queue, current: &Current<'_>) -> Result<(Envelope, Seal), Fault> {
        let header = current.header();
        let file = FileFacts {
            kind: current.kind(),
            file_id: &header.file_id,
            counter: header.counter,
            sha256: self.sha256,
            sender: header.sender,
            smso: &header.smso,
            group_id: header.group_id.as_deref(),
            created: &seconds(header.created),
        };
        let envelope = Envelope::new(queue, &self.location.name, self.arrival, &file)?;
        let seal = Seal::new(self.known.consumer(queue)?, queue, &self.sha256, &self.known.signing()?.signer)?;
        Ok((envelope, seal))
    }
}
