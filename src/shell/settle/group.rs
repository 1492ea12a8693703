//! A group's number from its name.

use rustix::fs::Gid;

use crate::fault::Fault;

const GROUPS: &str = "/etc/group";

/// The number of the group `name`, from `/etc/group`; a name of digits is a number itself, for groups that a directory service keeps.
pub fn group_id(name: &str) -> Result<Gid, Fault> {
    let text = std::fs::read(GROUPS).map_err(|error| Fault::new("read the groups from", GROUPS).because(error))?;
    find(&String::from_utf8_lossy(&text), name).map(Gid::from_raw).ok_or_else(|| {
        Fault::new("find in /etc/group the result_group", name)
            .remedy("Create the group, or give its number where a directory service keeps it.")
    })
}

/// `name:password:number:members`, one a line. The largest number means "no change" to the kernel and is no group.
fn find(text: &str, name: &str) -> Option<u32> {
    let listed = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)).flatten()
    });
    listed.unwrap_or(name).parse().ok().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_name_and_number() {
        let text = "root:x:0:\ncgi:x:1234:a,b\nodd:x:\nminus:x:4294967295:\n";
        assert_eq!(find(text, "cgi"), Some(1234));
        assert_eq!(find(text, "root"), Some(0));
        assert_eq!(find(text, "77"), Some(77));
        for name in ["nobody-here", "odd", "minus", "", "cg"] {
            assert_eq!(find(text, name), None, "{name}");
        }
    }

    #[test]
    fn an_unknown_group_is_our_trouble() {
        let fault = group_id("postern-no-such-group").unwrap_err();
        assert!(fault.to_string().contains("postern-no-such-group"), "{fault}");
    }
}
