//! What must hold between the tables of a configuration: names once, folders apart, a queue for all that is forwarded.

use std::path::{Component, Path, PathBuf};

use super::Gateway;
use super::read::Seen;
use crate::migration::names::{LocationKind, Queue, Role};
use crate::table::Source;

/// The place of a queue's name, by which the queues that are there are found.
pub(super) const QUEUE_NAME: &str = "[[queue]] name";

pub(super) fn across(source: &Source<'_>, gateway: Option<&Gateway>, seen: &Seen) {
    once(source, seen);
    folders(source, gateway, seen);
    if let Some(gateway) = gateway {
        needed_queues(source, gateway, seen);
        sim_lists(source, gateway, seen);
    }
}

fn once(source: &Source<'_>, seen: &Seen) {
    for (at, later) in seen.names.iter().enumerate() {
        let same = seen.names.iter().take(at).find(|earlier| earlier.place == later.place && earlier.text == later.text);
        if let Some(first) = same {
            let line = first.line.map(|line| format!(" on line {line}")).unwrap_or_default();
            source.add(later.line, later.place.to_owned(), format!("\"{}\" stands already{line}; each must be there once", later.text));
        }
    }
}

/// No folder may be another's, or lie inside another: a result would be taken for a dropped file, one sender's file
/// for another's, or private data be served to a sender.
fn folders<'a>(source: &Source<'_>, gateway: Option<&'a Gateway>, seen: &'a Seen) {
    let mut placed: Vec<(String, &Path, PathBuf)> = Vec::new();
    let mut place = |line, name: String, path: &'a Path| {
        if path.as_os_str().is_empty() {
            return;
        }
        let real = plain(path);
        for (other, other_path, other_real) in &placed {
            if let Some(relation) = relation(&real, other_real) {
                let text = format!("{} {relation} {} of {other}; every folder must stand apart", path.display(), other_path.display());
                source.add(line, name.clone(), text);
            }
        }
        placed.push((name, path, real));
    };
    if let Some(gateway) = gateway {
        place(None, "[gateway] data".to_owned(), &gateway.data);
        place(None, "[gateway] keys".to_owned(), &gateway.keys);
    }
    for (line, name, path) in &seen.folders {
        place(*line, name.clone(), path);
    }
    // A sender who can put a file there could decide what is eligible.
    for (line, name, path) in &seen.files {
        let real = plain(path);
        for (_, folder, _) in
            seen.folders.iter().filter(|(_, _, folder)| real.starts_with(plain(folder))).map(|(line, name, path)| (line, name, path))
        {
            source.add(*line, name.clone(), format!("{} lies inside a folder of {folder}, which a sender can reach", path.display()));
        }
    }
}

fn relation(path: &Path, other: &Path) -> Option<&'static str> {
    if path == other {
        Some("is the same folder as")
    } else if path.starts_with(other) {
        Some("lies inside")
    } else if other.starts_with(path) {
        Some("holds")
    } else {
        None
    }
}

/// The folder's real path where it exists, so that links and `..` don't hide that two are one; else the path made
/// absolute, with `.` and `..` taken out.
fn plain(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// A group's SIMs can be compared with a list where somebody brings one, and where this gateway reads what names them.
fn sim_lists(source: &Source<'_>, gateway: &Gateway, seen: &Seen) {
    for (line, place) in &seen.sim_lists {
        let mistake = |text: &str| source.add(*line, place.clone(), text.to_owned());
        if !gateway.roles.contains(&Role::S1sp) {
            mistake("is true, and [gateway] roles has no \"S1SP\", so that nothing could be compared with the list");
        }
        if !seen.kinds.contains(&LocationKind::Sim) {
            mistake("is true, and no [[location]] of kind \"sim\" brings a list, so that every file of the group would wait");
        }
    }
}

/// Every element of a served role, and every element that is passed on sealed, has a queue; Migration Common Files
/// have theirs.
fn needed_queues(source: &Source<'_>, gateway: &Gateway, seen: &Seen) {
    let migration = seen.kinds.contains(&LocationKind::Migration);
    let is_there = |queue: Queue| seen.names.iter().any(|name| name.place == QUEUE_NAME && name.text == queue.as_str());
    let needed = [
        (Queue::S1sp, gateway.roles.contains(&Role::S1sp), "[gateway] roles has \"S1SP\""),
        (Queue::Dco, gateway.roles.contains(&Role::Dco), "[gateway] roles has \"DCO\""),
        (Queue::Common, migration, "a location of kind \"migration\" takes Migration Common Files"),
    ];
    for (queue, is_needed, reason) in needed {
        if is_needed && !is_there(queue) {
            source.add(None, "[[queue]]".to_owned(), format!("\"{queue}\" is missing; {reason}"));
        }
    }
}
