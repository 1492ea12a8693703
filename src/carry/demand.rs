//! What falls due of demand: commitments that are deemed, and the summary report once all of a week's are settled. Safe to repeat.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::due::Due;
use crate::demand::{Deadlines, Summary, page, summarise};
use crate::fault::Fault;
use crate::gate::digest::Sha256;
use crate::shell::gateway::Gateway;
use crate::shell::reports::write_report;

/// Deems what is due, and writes the reports that follow.
pub(super) fn settle(gateway: &Gateway, now: Timestamp, due: &mut Due) {
    let mut sign = |octets: &[u8]| gateway.known().signing()?.signer.sign_detached(octets);
    let (done, faults) = gateway.store.settle_demand(now, &gateway.config.gateway.time_zone, &mut sign);
    due.done.extend(done);
    due.faults.extend(faults);
    let reports = match gateway.store.summaries_due() {
        Ok(reports) => reports,
        Err(fault) => return due.faults.push(fault),
    };
    for (smso, week) in reports {
        match report(gateway, &smso, week, now) {
            Ok(text) => due.done.push(text),
            Err(fault) => due.faults.push(fault),
        }
    }
}

fn report(gateway: &Gateway, smso: &str, week: Date, now: Timestamp) -> Result<String, Fault> {
    let zone = &gateway.config.gateway.time_zone;
    let deadline = Deadlines::of(week, zone)?.report;
    let write = || {
        let asked = gateway.store.demands(week, week)?;
        let found = summarise(&asked, zone, now)?.into_iter().find(|summary| summary.smso == smso);
        let summary = [found.unwrap_or_else(|| Summary::new(smso.to_owned(), week))];
        let name = summary[0].name();
        let (list, text) = (Summary::csv(&summary)?, page(&summary, now, None));
        let folder = &gateway.config.demand.reports;
        write_report(folder, &format!("{name}.html"), &text)?;
        let path = write_report(folder, &format!("{name}.csv"), &list)?;
        let digest = |text: &str| Sha256::of(text.as_bytes()).to_string();
        let files = json!({"installations": summary[0].total(), "csv_sha256": digest(&list), "html_sha256": digest(&text), "due": deadline.to_string()});
        gateway.store.summary_written(smso, week, &files, now)?;
        Ok::<_, Fault>(path)
    };
    let path = write().map_err(|fault| match now > deadline {
        true => Fault::new("give the summary report by its deadline", format!("{deadline} for {smso}, week of {week}")).because(fault),
        false => fault,
    })?;
    let late = if now > deadline { format!(", which was due by {deadline}") } else { String::new() };
    Ok(format!("wrote the summary report {} and its page{late}", path.display()))
}
