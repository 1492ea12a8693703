//! What keeps secrets inside the process: no core dumps, no tracing by others, pages that are never swapped out.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Set in a debug build, the process may be traced by its own user: crash tests count and stop system calls.
#[cfg(debug_assertions)]
const TRACEABLE: &str = "POSTERN_TRACEABLE";

/// Hardens this process, as far as the system lets it. What it does not let is said by [`pages_are_locked`], and by the
/// unit file, which sets the same limits from outside.
///
/// Not dumpable means: no core, and no reading of memory, environment or open files by other processes of the same
/// user, who would need `CAP_SYS_PTRACE` (ptrace(2), "Ptrace access mode checking").
pub fn harden() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if !may_be_traced() {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    if may_lock() {
        // ONFAULT: thread stacks and buffers that are never touched need no memory.
        let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
    }
}

/// Whether this process's pages stay in memory.
pub fn pages_are_locked() -> bool {
    own_status("VmLck:").is_some_and(|kibibytes| kibibytes != "0")
}

/// Under a limit every later allocation beyond it would fail, in the middle of a file. `CAP_IPC_LOCK` has none.
fn may_lock() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    let effective = own_status("CapEff:").and_then(|digits| u64::from_str_radix(&digits, 16).ok());
    getrlimit(Resource::Memlock).current.is_none() || effective.is_some_and(|set| set >> CAP_IPC_LOCK & 1 == 1)
}

/// The first word of a line of proc(5) about this process.
fn own_status(name: &str) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// What to say where [`pages_are_locked`] is false.
pub const NOT_LOCKED: &str = "memory is not locked, so that keys could be swapped out: lift the limit on locked memory (systemd: LimitMEMLOCK=infinity, a shell: ulimit -l unlimited), or run without swap";

#[cfg(debug_assertions)]
fn may_be_traced() -> bool {
    std::env::var_os(TRACEABLE).is_some()
}

#[cfg(not(debug_assertions))]
const fn may_be_traced() -> bool {
    false
}
