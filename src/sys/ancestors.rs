//! The processes above this one, and the variables that they were started with.

/// A process above this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestor {
    pub pid: i32,
    /// The kernel's name of its program.
    pub program: String,
}

/// The nearest ancestor of this user that was started with one of these variables (not empty), and
/// the variable. An ancestor whose environment cannot be read is passed over.
#[cfg(target_os = "linux")]
pub fn with_variable(names: &[&'static str]) -> Option<(Ancestor, &'static str)> {
    linux::with_variable(names)
}

/// Not read on macOS: the environment of another process needs `sysctl(KERN_PROCARGS2)`, which leaves
/// it out for protected programs.
#[cfg(not(target_os = "linux"))]
pub fn with_variable(_: &[&'static str]) -> Option<(Ancestor, &'static str)> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::unix::fs::MetadataExt as _;

    use nix::unistd::{Pid, getppid};

    use super::Ancestor;
    use crate::sys::tree;

    /// Longer chains are not followed.
    const DEPTH_MAX: usize = 128;

    pub(super) fn with_variable(names: &[&'static str]) -> Option<(Ancestor, &'static str)> {
        let above = |pid: &Pid| tree::parent_of(*pid);
        std::iter::successors(Some(getppid()), above)
            .take_while(|pid| pid.as_raw() > 0)
            .take(DEPTH_MAX)
            .find_map(|pid| Some((ancestor(pid), variable(pid, names)?)))
    }

    fn variable(pid: Pid, names: &[&'static str]) -> Option<&'static str> {
        let dir = std::fs::metadata(format!("/proc/{pid}")).ok()?;
        if dir.uid() != crate::sys::user::id() {
            return None;
        }
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        set_in(&environment, names)
    }

    /// The first of the names that has a value in a block of `NAME=VALUE` that end with NUL.
    pub(super) fn set_in(environment: &[u8], names: &[&'static str]) -> Option<&'static str> {
        environment.split(|b| *b == 0).find_map(|line| {
            let at = line.iter().position(|b| *b == b'=')?;
            let (name, value) = line.split_at_checked(at)?;
            let known = names.iter().copied();
            (value.len() > 1)
                .then(|| known.clone().find(|known| known.as_bytes() == name))
                .flatten()
        })
    }

    fn ancestor(pid: Pid) -> Ancestor {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Ancestor {
            pid: pid.as_raw(),
            program: name.trim_end().to_owned(),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::set_in;

    #[test]
    fn a_variable_counts_if_it_has_a_value() {
        let names = ["AI_AGENT", "CLAUDECODE"];
        for (block, found) in [
            ("PATH=/bin\0CLAUDECODE=1\0", Some("CLAUDECODE")),
            ("AI_AGENT=x", Some("AI_AGENT")),
            ("CLAUDECODE=\0", None),
            ("NOT_CLAUDECODE=1\0CLAUDECODE2=1\0=\0\0", None),
            ("X=CLAUDECODE=1\0", None),
        ] {
            assert_eq!(set_in(block.as_bytes(), &names), found, "{block:?}");
        }
    }
}
