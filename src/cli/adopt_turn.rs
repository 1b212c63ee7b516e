//! One change of the clients' configs at a time.

use std::fs::File;

use super::{Context, print};
use crate::adopt;
use crate::error::Result;

/// Waits until no other mcpwrap changes configs, and says so if it takes a while. Others wait until this is
/// dropped.
///
/// # Errors
/// As [`adopt::lock`].
pub(super) fn take(cx: &Context) -> Result<File> {
    adopt::lock(&cx.dirs, || {
        print::note(
            "waiting: another mcpwrap changes client configs (`adopt`, `add`, `remove` or `uninstall`)",
        );
    })
}
