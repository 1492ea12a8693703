//! Looking at one inbound folder: which files are there to be taken, and which are left alone and why.
//!
//! A file is taken once it is *still*: nothing about it has changed for `settle`, or an event said that it was renamed into place or
//! closed after writing and nothing has changed since. XML that ends before its root closes is left for `incomplete`, because an
//! interrupted SFTP upload closes its file just as a finished one does. Everything here is a look from outside: no name is
//! changed, and the claim checks it all again on its own descriptor.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::complete::{self, WINDOW};
use super::file_name::FileName;
use super::folder::{Facts, Folder, Kind, facts_of};
use crate::fault::Fault;

mod pairs;

pub use pairs::{list_of, signature_of};

/// A point in time by both clocks: the one that files are stamped with and can jump, and the one that can't.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time of day.
    pub wall: Timestamp,
    /// The steady clock.
    pub steady: Instant,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self { wall: Timestamp::now(), steady: Instant::now() }
    }
}

/// The limits of taking files.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a file must have been still before it is taken without an event (`settle_ms`).
    pub settle: Duration,
    /// How long XML without its end is left alone (`incomplete_ms`); zero judges it as it is, as `run --once` does.
    pub incomplete: Duration,
    /// The largest file taken, in octets.
    pub max_file_bytes: u64,
    /// Where lists are dropped: how long a list waits for its signature, and a signature for its list.
    pub signature_wait: Option<Duration>,
}

/// One entry of an inbound folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name; an invalid one is taken all the same, and refused as FILE_NAME_INVALID by its judge.
    pub name: FileName,
    /// What to do with it.
    pub state: State,
}

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can be claimed. Arrival is its ctime, never later than now.
    Ready {
        /// What it was when it was looked at; the claim insists on the same.
        facts: Facts,
        /// When it arrived.
        arrival: Timestamp,
    },
    /// It may still be changing.
    NotYet {
        /// When it will be still if nothing changes.
        until: Instant,
    },
    /// XML that ends before its root closes: perhaps an interrupted upload.
    Incomplete {
        /// When it will be taken as it is.
        until: Instant,
    },
    /// A list whose signature is not there yet, or a signature whose list is not.
    Half {
        /// When it will be taken as it is.
        until: Instant,
    },
    /// It is set aside without being opened, and refused.
    Unsafe {
        /// Why.
        why: Unsafe,
        /// What it was when it was looked at.
        facts: Facts,
        /// When it arrived.
        arrival: Timestamp,
    },
}

impl State {
    /// When an entry that is left alone is worth another look, if nothing changes before.
    pub fn until(&self) -> Option<Instant> {
        match self {
            Self::NotYet { until } | Self::Incomplete { until } | Self::Half { until } => Some(*until),
            Self::Ready { .. } | Self::Unsafe { .. } => None,
        }
    }
}

/// Why an object is never opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// A symbolic link.
    Link,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
    /// A regular file with another name somewhere.
    HardLink,
    /// Over the largest size: FILE_TOO_LARGE, the others are FILE_UNSAFE.
    TooLarge,
}

impl Unsafe {
    /// Why an object with these facts is unsafe, if it is; `None` also for folders, which are left alone.
    pub fn of(facts: &Facts, max_file_bytes: u64) -> Option<Self> {
        match facts.kind {
            Kind::Folder => None,
            Kind::Link => Some(Self::Link),
            Kind::Fifo => Some(Self::Fifo),
            Kind::Socket => Some(Self::Socket),
            Kind::Device => Some(Self::Device),
            Kind::File if facts.links > 1 => Some(Self::HardLink),
            Kind::File => (facts.size > max_file_bytes).then_some(Self::TooLarge),
        }
    }

    /// Whether it counts only once the file is still: OpenSSH renames by link and unlink, and an upload grows.
    fn needs_stillness(self) -> bool {
        matches!(self, Self::HardLink | Self::TooLarge)
    }

    /// What it is, for officers: `a symbolic link`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Link => "a symbolic link",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
            Self::Device => "a device",
            Self::HardLink => "a file with another name elsewhere",
            Self::TooLarge => "a file over max_file_bytes",
        }
    }
}

/// One inbound folder and what was seen in it.
#[derive(Debug)]
pub struct Inbound {
    path: PathBuf,
    limits: Limits,
    folder: Folder,
    seen: HashMap<FileName, Seen>,
    last: Option<Moment>,
    /// The wall clock leapt forward: stamps from before say nothing about how long a file has been still.
    leapt: Option<Timestamp>,
}

/// What is remembered of an entry between two looks.
#[derive(Debug)]
struct Seen {
    facts: Facts,
    since: Instant,
    /// An event said that it is whole, as these facts have it.
    hinted: bool,
    /// It changed under a claim, so events no longer speak for it (giving the name back is such an event).
    distrusted: bool,
    whole: Option<bool>,
}

impl Inbound {
    /// Opens the inbound folder at `path`.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, Fault> {
        Ok(Self { path: path.to_owned(), limits, folder: Folder::open(path)?, seen: HashMap::new(), last: None, leapt: None })
    }

    /// The folder as it was at the last look; claims are made in it.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The limits it was opened with.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What is there now, in the byte order of names, without what is ignored: dot files, uploads in progress by their ending, folders.
    /// A folder that was deleted and made again, or replaced, is opened afresh; a missing one is a fault and may come back.
    pub fn scan(&mut self, now: Moment) -> Result<Vec<Found>, Fault> {
        self.reopen()?;
        self.mind_the_clock(now);
        let read = |error: io::Error| Fault::new("read the inbound folder", self.path.display()).because(error);
        let names = self.folder.names().map_err(read)?;
        let mut before = std::mem::take(&mut self.seen);
        let mut found = Vec::new();
        for name in names.into_iter().filter(|name| !name.is_ignored()) {
            let Some(facts) = self.folder.facts(&name).map_err(|error| self.folder.fault("look at", &name, error))? else { continue };
            if facts.kind == Kind::Folder {
                continue;
            }
            let mut seen = Seen::again(before.remove(&name), facts, now);
            let state = self.state(&name, &mut seen, now);
            self.seen.insert(name.clone(), seen);
            found.push(Found { name, state });
        }
        if let Some(wait) = self.limits.signature_wait {
            let left = |name: &FileName| wait.checked_sub(self.age(name, now)).filter(|left| !left.is_zero());
            pairs::keep_together(&mut found, &|name| left(name).map(|left| now.steady + left));
        }
        Ok(found)
    }

    /// What is there once everything found at first has had its time to be still: `run --once`. What is `NotYet` after that was
    /// changed meanwhile, an upload in progress. Sleeps for as long as `settle` at most.
    pub fn scan_settled(&mut self) -> Result<Vec<Found>, Fault> {
        let found = self.scan(Moment::now())?;
        let still = |found: &Found| if let State::NotYet { until } = found.state { Some(until) } else { None };
        let Some(until) = found.iter().filter_map(still).max() else { return Ok(found) };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        self.scan(Moment::now())
    }

    /// An event said that `name` was renamed into place or closed after writing. It speeds up the next look, nothing else.
    pub fn hint(&mut self, name: &FileName, now: Moment) {
        if name.is_ignored() {
            return;
        }
        if let Ok(Some(facts)) = self.folder.facts(name) {
            let mut seen = Seen::again(self.seen.remove(name), facts, now);
            seen.hinted = !seen.distrusted;
            self.seen.insert(name.clone(), seen);
        }
    }

    /// The file changed while it was being claimed: from now on only stillness counts for it.
    pub fn distrust(&mut self, name: &FileName, now: Moment) {
        if let Ok(Some(facts)) = self.folder.facts(name) {
            let mut seen = Seen::again(self.seen.remove(name), facts, now);
            (seen.hinted, seen.distrusted) = (false, true);
            self.seen.insert(name.clone(), seen);
        }
    }

    fn state(&self, name: &FileName, seen: &mut Seen, now: Moment) -> State {
        let (facts, limits) = (seen.facts, self.limits);
        let arrival = facts.changed.min(now.wall);
        let still = self.still_for(seen, now);
        let wait = |time: Duration| now.steady + time.saturating_sub(still);
        let danger = Unsafe::of(&facts, limits.max_file_bytes);
        if let Some(why) = danger.filter(|why| !why.needs_stillness()) {
            return State::Unsafe { why, facts, arrival };
        }
        let trusted_event = seen.hinted && danger != Some(Unsafe::HardLink);
        if still < limits.settle && !trusted_event {
            return State::NotYet { until: wait(limits.settle) };
        }
        if let Some(why) = danger {
            return State::Unsafe { why, facts, arrival };
        }
        if still < limits.incomplete && !self.looks_whole(name, seen) {
            return State::Incomplete { until: wait(limits.incomplete) };
        }
        State::Ready { facts, arrival }
    }

    /// How long the entry has been as it is: as long as we have seen it so, or by its stamps where the clock can be trusted.
    /// A stamp in the future (a sender's modification time, a clock set back) counts for nothing, so it can't hold a file up for ever.
    fn still_for(&self, seen: &Seen, now: Moment) -> Duration {
        let watched = now.steady.saturating_duration_since(seen.since);
        let last_change = seen.facts.changed.max(seen.facts.modified);
        if self.leapt.is_some_and(|leap| last_change < leap) {
            return watched;
        }
        watched.max(Duration::try_from(now.wall.duration_since(last_change)).unwrap_or_default())
    }

    /// How long an entry has been as it is.
    fn age(&self, name: &FileName, now: Moment) -> Duration {
        self.seen.get(name).map_or(Duration::ZERO, |seen| self.still_for(seen, now))
    }

    fn looks_whole(&self, name: &FileName, seen: &mut Seen) -> bool {
        // What can't be read is left to the claim, which says what is wrong.
        *seen.whole.get_or_insert_with(|| {
            ends_of(&self.folder, name, &seen.facts).map_or(true, |(head, tail)| complete::looks_complete(&head, &tail))
        })
    }

    fn reopen(&mut self) -> Result<(), Fault> {
        let there = Folder::open(&self.path)?;
        let compare =
            |folder: &Folder| folder.own_facts().map_err(|error| Fault::new("look at the folder", folder.path().display()).because(error));
        if !compare(&there)?.same_inode(&compare(&self.folder)?) {
            self.folder = there;
            self.seen.clear();
        }
        Ok(())
    }

    /// Notices that the wall clock has gone further than time has since the last look.
    fn mind_the_clock(&mut self, now: Moment) {
        if let Some(last) = self.last.replace(now) {
            let passed = now.steady.saturating_duration_since(last.steady);
            let claimed = Duration::try_from(now.wall.duration_since(last.wall)).unwrap_or_default();
            if claimed > passed + self.limits.settle / 4 {
                self.leapt = Some(now.wall);
            }
        }
    }
}

impl Seen {
    /// What is remembered after a look that found `facts`: the old memory where nothing has changed.
    fn again(before: Option<Self>, facts: Facts, now: Moment) -> Self {
        let distrusted = before.as_ref().is_some_and(|before| before.distrusted);
        match before {
            Some(before) if before.facts == facts => before,
            _ => Self { facts, since: now.steady, hinted: false, distrusted, whole: None },
        }
    }
}

/// The first and last octets of a regular file; fails where it is not the file that was looked at.
fn ends_of(folder: &Folder, name: &FileName, facts: &Facts) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = folder.open_file(name)?;
    if facts_of(&file)? != *facts {
        return Err(io::ErrorKind::StaleNetworkFileHandle.into());
    }
    let window = WINDOW as u64;
    let mut head = Vec::new();
    (&file).take(window).read_to_end(&mut head)?;
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(facts.size.saturating_sub(window)))?;
    file.take(window).read_to_end(&mut tail)?;
    Ok((head, tail))
}

#[cfg(test)]
mod tests;
