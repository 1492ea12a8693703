//! Samples of lists: CSV, with a detached signature beside each.

use jiff::ToSpan as _;
use jiff::tz::TimeZone;

use super::super::Sender;
use super::{Outcome, SenderSigner, Writer};
use crate::csv::written;
use crate::demand::monday_of;
use crate::fault::Fault;
use crate::gate::ecdsa::der_signature;
use crate::migration::demand::COLUMNS;

/// The first Monday that is at least so many days ahead: the deadline for demand, 27 days before it, is more than a week away then.
const DAYS_AHEAD: i64 = 36;
const DAYS_OF_WORK: i64 = 5;
/// How many a day for each distributor; installations fall off towards the end of the week.
const NUMBERS: [(&str, i64); 3] = [("10", 40), ("12", 25), ("14", 30)];

pub(super) fn demand(writer: &mut Writer<'_>, sender: &Sender) -> Result<(), Fault> {
    let fault = |error| Fault::new("make a demand list for", &sender.location).because(error);
    let today = TimeZone::get("Europe/London").map_err(fault)?.to_datetime(writer.now).date();
    let week = monday_of(today.checked_add((DAYS_AHEAD + 6).days()).map_err(fault)?);
    let mut rows = Vec::new();
    for day in 0..DAYS_OF_WORK {
        let date = week.checked_add(day.days()).map_err(fault)?;
        rows.extend(NUMBERS.map(|(distributor, number)| {
            let of_all = [sender.eui.to_string(), "CGI".to_owned(), week.to_string(), "1".to_owned()];
            of_all.into_iter().chain([date.to_string(), distributor.to_owned(), (number - 5 * day).to_string()]).collect()
        }));
    }
    let text = written(&COLUMNS, rows)?;
    let name = format!("DR_{}_CGI.csv", sender.eui);
    let what = "Daily Migration Demand for a week that is five weeks ahead; drop it with its .sig.";
    signed(writer, sender, &name, &text, what)
}

/// A list with its signature, which the gateway accepts.
fn signed(writer: &mut Writer<'_>, sender: &Sender, name: &str, text: &str, what: &'static str) -> Result<(), Fault> {
    let signer = SenderSigner::from_files(&sender.key_file, Some(&sender.certificate_file), None, writer.now)?;
    let value = signer.sign(text.as_bytes())?;
    let (r, s) = value.split_at(value.len() / 2);
    writer.place.public(&format!("samples/{}/{name}.sig", sender.location), der_signature(r, s))?;
    writer.keep(sender, name, text.as_bytes(), what, Outcome::Accepted, &[])
}
