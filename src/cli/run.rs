//! `postern run`: the gateway.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::report::Report;
use super::{Status, config_of, say};
use crate::fault::Fault;
use crate::shell::gateway::Gateway;
use crate::shell::hardening;
use crate::shell::run::{Wake, forever, once};
use crate::shell::unlock::unlock;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each file that a sender drops into a location's inbound folder is claimed, judged and answered with a signed result
file in the outbound folder; what is accepted waits in the queues (`postern queue take`).

  postern run                       until SIGTERM or Ctrl-C; what is claimed is finished first
  postern run --once                judge what is there, as it is, then stop: 0 when every file was judged, 1 when one waits;
                                    a file that is still being written is judged unfinished, so not while senders upload
  postern run --once --json         one JSON object a file on standard output

A file that can't be judged because of our own trouble (a broken key file, a full disk) is never refused: it waits, and
standard error and `postern status` say what must be mended.")]
pub struct Args {
    /// Judge what is there and stop.
    #[arg(long)]
    once: bool,
}

/// Runs the gateway.
///
/// # Errors
/// Configuration, folder or database can't be used.
pub fn run(args: &Args, config: Option<&Path>, json: bool, out: &mut (dyn Write + Send)) -> Result<Status, Fault> {
    let mut config = match config_of(config) {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    unlock(&mut config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Fault::new("start", "the runtime for signals").because(error))?;
    // Before anything is opened: a signal during the start is heard as well.
    let asked = {
        let _within = runtime.enter();
        stop_signal()
    };
    let gateway = Gateway::open(config)?;
    if let Err(fault) = gateway.known().rule().ledger() {
        say(format_args!("{fault}"));
        return Ok(Status::Usage);
    }
    let report = Mutex::new(Report::new(out, json));
    let tell = |event: &crate::shell::intake::Event<'_>| report.lock().unwrap_or_else(PoisonError::into_inner).event(event);
    let known = gateway.known();
    for trouble in known.troubles().iter().chain(known.keys.unapproved()).filter(|_| args.once) {
        say(format_args!("key folder: {trouble}"));
    }
    for trouble in known.epcl.trouble().map(|text| format!("EPCL: {text}")).into_iter().chain(known.epcl.said()).filter(|_| args.once) {
        say(format_args!("{trouble}"));
    }
    drop(known);
    if !args.once {
        let names: Vec<&str> = gateway.config.locations.iter().map(|location| location.name.as_str()).collect();
        say(format_args!("watching {}; data in {}", names.join(", "), gateway.config.gateway.data.display()));
        if !hardening::pages_are_locked() {
            say(format_args!("note: {}", hardening::NOT_LOCKED));
        }
    }
    let stop = AtomicBool::new(false);
    let wake = Wake::default();
    let (done, finished) = tokio::sync::oneshot::channel::<()>();
    let waiting = std::thread::scope(|scope| {
        let signals = scope.spawn(|| {
            runtime.block_on(async {
                tokio::select! {
                    _ = finished => {}
                    () = asked => {
                        stop.store(true, Ordering::Relaxed);
                        wake.now();
                        say(format_args!("stopping; what is claimed is finished first"));
                    }
                }
            });
        });
        let waiting = if args.once {
            once(&gateway, &stop, &tell)
        } else {
            forever(&gateway, &stop, &wake, &tell);
            0
        };
        drop(done);
        let _ = signals.join();
        waiting
    });
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    if args.once {
        report.summary(waiting);
    }
    Ok(if waiting == 0 { Status::Done } else { Status::Failed })
}

/// SIGTERM or SIGINT, caught from this call on. Where a handler can't be set, only a kill stops the gateway, which it survives.
fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let handlers = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        match handlers {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            }
            _ => std::future::pending().await,
        }
    }
}
