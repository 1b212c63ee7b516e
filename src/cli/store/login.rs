//! `mcpwrap store login`: runs the sign-in command of a store in this terminal, then checks the store.

use std::ffi::OsStr;

use super::{checked, say, show};
use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{Code, EXIT_NO, Error, Result};
use crate::files::io_text;
use crate::ops::stores;
use crate::secret::StoreName;
use crate::store::types::NamedStore;
use crate::sys::spawn;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Store to sign in to
    name: StoreName,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let name = &args.name;
    stores::actor(&cx.dirs, &config, "store login", None, name)?;
    let store = NamedStore::find(&config, name)?;
    let program = (store.kind.program)(store.definition);
    let words = (store.kind.sign_in)(store.definition);
    let Some((program, words)) = program.zip(words) else {
        print::note(&format!(
            "store `{name}` has no command for it: {}",
            store.kind.sign_in_hint
        ));
        return Ok(EXIT_NO);
    };
    let failed = |cause: String| {
        Error::new(
            Code::StoreSignedOut,
            format!("cannot sign in to store `{name}`"),
        )
        .of_store(name)
        .cause(cause)
    };
    let shown = format!("{} {}", program.display(), words.join(" "));
    print::note(&format!("starting `{shown}`"));
    let words: Vec<_> = words.iter().map(OsStr::new).collect();
    match spawn::interactive(program.as_os_str(), &words) {
        Ok(true) => {}
        Ok(false) => {
            return Err(
                failed(format!("`{shown}` ended with an error")).hint(store.kind.sign_in_hint)
            );
        }
        Err(error) => {
            return Err(failed(format!(
                "`{}`: {}",
                program.display(),
                io_text(&error)
            )));
        }
    }
    let report = checked(cx, &config, name)?;
    say(name, report.said.as_deref());
    show(name, &report.answer?);
    Ok(0)
}
