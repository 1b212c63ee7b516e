//! `mcpwrap log head`: the number and hash of the last record.

use super::{Context, print};
use crate::audit::{Head, Log};
use crate::error::{Code, Error, Result};

/// Prints the head.
pub fn run(cx: &Context) -> Result<u8> {
    let head = Log::open(&cx.dirs, None)?.head()?;
    if head == Head::default() {
        return Err(Error::new(Code::FileUnusable, "the audit log is empty")
            .hint("run `mcpwrap grant` or `mcpwrap run` to write the first record"));
    }
    print::line(&head.to_string());
    Ok(0)
}
