//! Where a new value comes from: the terminal, stdin, another open file, or the clipboard.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::str::FromStr;
use std::sync::Arc;

use crate::cli::{Context, ask, print, typed_secret};
use crate::clipboard;
use crate::error::{Code, Error, Result};
use crate::expiry::Expiry;
use crate::files::io_text;
use crate::ops::secrets;
use crate::secret::{Secret, SecretName};
use crate::sys::fds;

#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(super) struct InputOptions {
    /// Last day the value is valid, e.g. `2027-06-30`
    #[arg(long, value_name = "DATE")]
    pub(super) expires: Option<Expiry>,
    /// Read the value from stdin, without its last newline (for scripts)
    #[arg(long, conflicts_with_all = ["fd", "clipboard"])]
    from_stdin: bool,
    /// Read the value from this open file descriptor, e.g. `3`
    #[arg(long, value_name = "N", conflicts_with = "clipboard")]
    fd: Option<OpenFile>,
    /// Read the value from the clipboard, and clear it afterwards
    #[arg(long)]
    clipboard: bool,
    /// Store the value even if it cannot be masked
    #[arg(long)]
    allow_weak: bool,
    /// Do not wait until running servers have the value
    #[arg(long)]
    pub(super) no_wait: bool,
}

/// A descriptor that the caller opened. Taken while the arguments are read: later, the number could belong to a
/// file of mcpwrap itself.
#[derive(Clone, Debug)]
struct OpenFile(Arc<OwnedFd>);

impl FromStr for OpenFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |cause: String| {
            Error::new(Code::Usage, "invalid value for `--fd`")
                .cause(cause)
                .hint("open it in the shell, e.g. `mcpwrap secret set NAME --fd 3 3< FILE`")
        };
        let number: i32 = text
            .parse()
            .ok()
            .filter(|number| *number >= 0)
            .ok_or_else(|| refuse("expected the number of an open file descriptor".to_owned()))?;
        let file = fds::inherited(number)
            .map_err(|error| refuse(format!("descriptor {number}: {}", io_text(&error))))?;
        Ok(Self(Arc::new(file)))
    }
}

impl InputOptions {
    /// The flag that replaces the terminal.
    pub(super) fn flag(&self) -> Option<&'static str> {
        let given = [
            (self.from_stdin, "--from-stdin"),
            (self.fd.is_some(), "--fd"),
            (self.clipboard, "--clipboard"),
        ];
        given
            .into_iter()
            .find_map(|(is_given, flag)| is_given.then_some(flag))
    }

    /// The value of a secret, checked.
    pub(super) fn value(&self, cx: &Context, name: &SecretName) -> Result<Secret> {
        let is_asked = match self.flag() {
            None => true,
            Some(_) => self.clipboard && ask::is_person(),
        };
        let value = typed_secret::unwrapped(name, self.read(cx, name)?, is_asked)?;
        secrets::check(name, &value, self.allow_weak)?;
        typed_secret::warn(name, &value);
        Ok(value)
    }

    fn read(&self, cx: &Context, name: &SecretName) -> Result<Secret> {
        if self.clipboard {
            return clipboard::read(&cx.dirs, ask::VALUE_BYTES_MAX);
        }
        if let Some(OpenFile(file)) = &self.fd {
            let unusable = |error: std::io::Error| {
                Error::new(Code::FileUnusable, "cannot read the value from `--fd`")
                    .cause(io_text(&error))
            };
            let file = file.as_fd().try_clone_to_owned().map_err(unusable)?;
            return ask::value_from(File::from(file), "`--fd`");
        }
        if self.from_stdin {
            return ask::piped();
        }
        ask::hidden(&format!("value of `{name}` (not shown): "))
    }

    /// Empties the clipboard, once the value is stored.
    pub(super) fn forget(&self, cx: &Context) {
        if !self.clipboard {
            return;
        }
        match clipboard::clear(&cx.dirs) {
            Ok(program) => print::note(&format!(
                "the clipboard was cleared with `{}`; a clipboard manager may keep a copy",
                program.display()
            )),
            Err(error) => print::warning(&format!(
                "the value is still in the clipboard: {}",
                error.text()
            )),
        }
    }
}
