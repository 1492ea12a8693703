//! What must hold between the tables of a configuration: names once, folders apart, a queue for all that is forwarded.

use std::path::{Component, Path, PathBuf};

use super::read::Read;
use super::{Gateway, Location, QueueSettings};
use crate::migration::names::{Group, LocationKind, Queue, Role};
use crate::table::Source;

pub(super) fn across(
    source: &Source<'_>,
    gateway: Option<&Gateway>,
    locations: &[Read<Location>],
    groups: &[Read<Group>],
    queues: &[Read<QueueSettings>],
) {
    once(source, "location", "name", locations, |location| location.name.clone());
    once(source, "group", "id", groups, |group| group.id.clone());
    once(source, "queue", "name", queues, |queue| queue.name.as_str().to_owned());
    folders(source, gateway, locations);
    if let Some(gateway) = gateway {
        needed_queues(source, gateway, locations, queues);
    }
}

fn once<T>(source: &Source<'_>, table: &str, key: &str, values: &[Read<T>], name: impl Fn(&T) -> String) {
    for (at, later) in values.iter().enumerate() {
        let word = name(&later.value);
        if let Some(first) = values.iter().take(at).find(|earlier| name(&earlier.value) == word) {
            let line = first.line.map(|line| format!(" on line {line}")).unwrap_or_default();
            source.add(later.line, format!("[[{table}]] {key}"), format!("\"{word}\" stands already{line}; each must be there once"));
        }
    }
}

/// No folder may be another's, or lie inside another: a result would be taken for a dropped file, one sender's file
/// for another's, or private data be served to a sender.
fn folders(source: &Source<'_>, gateway: Option<&Gateway>, locations: &[Read<Location>]) {
    let mut placed: Vec<(String, PathBuf)> = Vec::new();
    if let Some(gateway) = gateway {
        for (what, path) in [("[gateway] data", &gateway.data), ("[gateway] keys", &gateway.keys)] {
            if !path.as_os_str().is_empty() {
                placed.push((what.to_owned(), plain(path)));
            }
        }
        if let [(_, data), (_, keys)] = placed.as_slice()
            && let Some(relation) = relation(keys, data)
        {
            source.add(None, "[gateway] keys".to_owned(), format!("{} {relation} [gateway] data", keys.display()));
        }
    }
    for location in locations {
        let name = &location.value.name;
        for (key, path) in [("inbound", &location.value.inbound), ("outbound", &location.value.outbound)] {
            let place = format!("[[location]] \"{name}\" {key}");
            let path = plain(path);
            for (other, other_path) in &placed {
                if let Some(relation) = relation(&path, other_path) {
                    let text = format!("{} {relation} {other}; every folder must stand apart", path.display());
                    source.add(location.line, place.clone(), text);
                }
            }
            placed.push((place, path));
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

/// Every element of a served role, and every element that is passed on sealed, has a queue; Migration Common Files
/// have theirs.
fn needed_queues(source: &Source<'_>, gateway: &Gateway, locations: &[Read<Location>], queues: &[Read<QueueSettings>]) {
    let migration = locations.iter().any(|location| location.value.kind == LocationKind::Migration);
    let needed = [
        (Queue::S1sp, gateway.roles.contains(&Role::S1sp), "[gateway] roles has \"S1SP\""),
        (Queue::Dco, gateway.roles.contains(&Role::Dco), "[gateway] roles has \"DCO\""),
        (Queue::Common, migration, "a location of kind \"migration\" takes Migration Common Files"),
    ];
    for (queue, is_needed, reason) in needed {
        if is_needed && queues.iter().all(|given| given.value.name != queue) {
            source.add(None, "[[queue]]".to_owned(), format!("\"{queue}\" is missing; {reason}"));
        }
    }
}
