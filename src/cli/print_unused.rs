//! Says what the packages take that no policy uses anymore.

use super::print;
use crate::ops::pin::Installed;

/// Says how they are removed, if there are any.
pub(super) fn freed(all: &[Installed]) {
    let unused = all.iter().filter(|one| one.used_by.is_empty());
    let bytes: u64 = unused.map(|one| one.tree.bytes).sum();
    if bytes > 0 {
        print::note(&format!("`mcpwrap pin --prune` frees {}", size(bytes)));
    }
}

pub(super) fn size(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
