//! `postern demand show`.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::super::configured::{moment, unwritten};
use super::super::{Status, say};
use super::{found, object, smso, standing, week};
use crate::demand::{Asked, Deadlines, Numbers};
use crate::eui::Eui64;
use crate::fault::Fault;
use crate::shell::config::Config;
use crate::store::Store;

/// Arguments of `demand show`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The Migration Week, by its Monday
    #[arg(long, value_name = "DAY", value_parser = week)]
    week: Date,
    /// The SMSO
    #[arg(long, value_parser = smso)]
    smso: String,
    /// The supplier
    #[arg(long, value_name = "EUI-64")]
    supplier: Eui64,
}

pub(super) fn show(args: &Args, config: &Config, json: bool, out: &mut dyn Write) -> Result<Status, Fault> {
    let store = Store::open_read_only(&config.gateway.data)?;
    let now = Timestamp::now();
    let mut found = found(&store, Some(args.week), Some(&args.smso))?;
    found.retain(|asked| asked.demand.supplier == args.supplier);
    if found.is_empty() {
        say(format_args!("no demand of {} for SMSO {} and the Migration Week {} was accepted", args.supplier, args.smso, args.week));
        return Ok(Status::Failed);
    }
    let deadlines = Deadlines::of(args.week, &config.gateway.time_zone)?;
    for asked in &found {
        let text = if json { format!("{}\n", whole(asked, &deadlines, now)) } else { people(asked, &deadlines, now) };
        out.write_all(text.as_bytes()).map_err(unwritten)?;
    }
    Ok(Status::Done)
}

fn whole(asked: &Asked, deadlines: &Deadlines, now: Timestamp) -> Value {
    let lines = |numbers: &Numbers| -> Vec<Value> {
        numbers
            .iter()
            .map(|((day, distributor), number)| json!({"date": day.to_string(), "distributor": distributor, "number": number}))
            .collect()
    };
    let mut object = object("demand", asked, deadlines, now);
    object["lines"] = lines(&asked.demand.numbers).into();
    object["commitments"] = asked
        .commitments
        .iter()
        .map(|made| {
            json!({"origin": made.origin.as_str(), "made": made.made.to_string(), "by": made.by, "reason": made.reason,
                "pro_rata": made.is_pro_rata, "committed": made.total(), "lines": lines(&made.numbers)})
        })
        .collect();
    object
}

fn people(asked: &Asked, deadlines: &Deadlines, now: Timestamp) -> String {
    let demand = &asked.demand;
    let mut text = format!("{}\n  {}\n", demand.about(), standing(asked, deadlines, now));
    text += &format!("  received {} at {}, result {}\n", moment(asked.received), asked.location, asked.result_id);
    for made in &asked.commitments {
        text += &format!("  {} {} committed on {} by {}", made.origin, made.total(), moment(made.made), made.by);
        text += &if made.reason.is_empty() { "\n".to_owned() } else { format!(": {}\n", made.reason) };
    }
    let committed = asked.commitments.last();
    text += "  date        distributor   asked for   committed\n";
    for (line, number) in &demand.numbers {
        let committed = committed.and_then(|made| made.numbers.get(line)).map_or_else(|| "-".to_owned(), u64::to_string);
        text += &format!("  {}  {:<11}{number:>12}{committed:>12}\n", line.0, line.1);
    }
    text
}
