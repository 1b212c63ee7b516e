//! `mcpwrap policy edit`: opens a copy in the user's editor; a valid copy replaces the policy.
//!
//! Invariants: an invalid edit stays in the copy, and the next `policy edit` resumes it; a policy that
//! changed after that is not overwritten.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::cli::{Context, print};
use crate::dirs;
use crate::error::{Code, Error, Result};
use crate::files::{self, Problem, io_text};
use crate::policy::{Tier, draft, load};
use crate::secret::ServerName;
use crate::sys::spawn;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server whose policy to edit
    server: ServerName,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let server = &args.server;
    let path = load::path(&cx.dirs, server);
    let before = match load(&cx.dirs, server, None) {
        Ok(policy) if policy.tier == Tier::Managed => return Err(managed(server, &policy.path)),
        Ok(policy) => policy.text.into_bytes(),
        // An invalid policy can be edited too.
        Err(error) if error.code == Code::PolicyInvalid => {
            files::read_private(&path).map_err(|_| error)?
        }
        Err(error) => return Err(error),
    };
    let (copy, base) = draft::saved_edit(&cx.dirs, server);
    let unusable = |problem: Problem| {
        let what = format!("cannot open policy `{server}`");
        problem.explain(Code::FileUnusable, what, &cx.dirs.tilde(&copy))
    };
    if copy.exists() {
        if files::read_private(&base).ok().as_ref() != Some(&before) {
            return Err(changed(cx, server, &copy));
        }
        print::note(&format!(
            "resuming the saved edit `{}`",
            cx.dirs.tilde(&copy)
        ));
    } else {
        files::replace(&base, &before).map_err(unusable)?;
        files::replace(&copy, &before).map_err(unusable)?;
    }
    if let Err(error) = edit(&copy) {
        // Nothing was typed, so there is nothing to resume.
        if files::read_private(&copy).ok().as_ref() == Some(&before) {
            draft::remove_edit(&cx.dirs, server).map_err(unusable)?;
        }
        return Err(error);
    }
    let after = files::read_private(&copy).map_err(unusable)?;
    let kept = |error: Error| {
        error.hint(format!(
            "run `mcpwrap policy edit {server}` to resume the saved edit, or remove `{}` to discard it",
            cx.dirs.tilde(&copy),
        ))
    };
    if after == before {
        print::note("nothing changed");
    } else {
        let text = String::from_utf8_lossy(&after);
        load::check(&cx.dirs, server, &text).map_err(kept)?;
        if files::read_private(&path).ok().as_ref() != Some(&before) {
            return Err(changed(cx, server, &copy));
        }
        draft::replace(&cx.dirs, server, &after).map_err(kept)?;
        print::line(&format!("written: {}", cx.dirs.tilde(&path)));
        print::note(&format!(
            "run `mcpwrap grant {server}` to review and approve the change"
        ));
    }
    draft::remove_edit(&cx.dirs, server).map_err(unusable)?;
    Ok(0)
}

/// Runs the editor as git does: the variable may contain flags, so a shell splits it.
fn edit(copy: &Path) -> Result<()> {
    let editor = dirs::editor().unwrap_or_else(|| OsString::from("vi"));
    let mut script = editor.clone();
    script.push(" \"$@\"");
    let arguments = [OsStr::new("-c"), &script, &editor, copy.as_os_str()];
    let what = || Error::new(Code::Declined, "the policy was not changed");
    let shown = editor.to_string_lossy();
    match spawn::interactive(OsStr::new("/bin/sh"), &arguments) {
        Ok(true) => Ok(()),
        Ok(false) => Err(what()
            .cause(format!("editor `{shown}` exited with an error"))
            .hint("set `EDITOR` to your editor")),
        Err(error) => Err(what().cause(format!("`/bin/sh`: {}", io_text(&error)))),
    }
}

fn managed(server: &ServerName, path: &Path) -> Error {
    Error::new(
        Code::PolicyNotPrivate,
        format!("cannot open policy `{server}`"),
    )
    .cause(format!(
        "`{}` is managed by your administrator and overrides your own",
        path.display()
    ))
    .hint("ask your administrator to change it")
}

/// A saved edit would undo what was changed after it was begun.
fn changed(cx: &Context, server: &ServerName, copy: &Path) -> Error {
    let copy = cx.dirs.tilde(copy);
    Error::new(
        Code::FileUnusable,
        format!("cannot write policy `{server}`"),
    )
    .cause("the file changed after the edit was begun")
    .hint(format!(
        "take what you need from the saved edit `{copy}`, remove it, and run `mcpwrap policy edit {server}` again"
    ))
}
