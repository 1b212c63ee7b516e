//! Which policy the server gets: that which exists, or a new one from the catalog or the arguments.

use super::Args;
use crate::cli::{Context, ask, print};
use crate::config::Config;
use crate::error::{Code, Error, Result, printable};
use crate::ops::new_server::{self, RemoteWishes, ServerSource};
use crate::ops::notes::notes;
use crate::ops::pin;
use crate::package;
use crate::policy::draft::Draft;
use crate::policy::{self, Policy, summary};

/// The policy, and whether it has to be written.
pub(super) struct PlannedPolicy {
    pub(super) policy: Policy,
    pub(super) is_new: bool,
    draft: Draft,
    /// One line about its publisher.
    brief: Option<String>,
}

/// Takes the policy that exists, or plans a new one. Asks which form of the server, if there are
/// several.
///
/// # Errors
/// `usage` for a name that the catalog does not have; `policy-exists` if the one that exists is another
/// than the arguments say; `policy-invalid`.
pub(super) fn plan(args: &Args, cx: &Context) -> Result<PlannedPolicy> {
    let server = &args.server;
    match policy::load(&cx.dirs, server, None) {
        Ok(policy) => {
            must_be_the_same(args, cx, &policy)?;
            return Ok(PlannedPolicy {
                policy,
                is_new: false,
                draft: Draft::default(),
                brief: None,
            });
        }
        Err(error) if error.code == Code::PolicyNotFound => {}
        Err(error) => return Err(error),
    }
    let source = source(args)?;
    let wishes = RemoteWishes {
        oauth: args.oauth,
        headers: args.header.clone(),
    };
    let draft = source.draft(server, wishes)?;
    Ok(PlannedPolicy {
        policy: draft.check(&cx.dirs, server)?,
        is_new: true,
        draft,
        brief: Some(source.brief()),
    })
}

fn source(args: &Args) -> Result<ServerSource> {
    if let Some(url) = &args.url {
        new_server::must_be_address(url)?;
        return Ok(ServerSource::Url(url.clone()));
    }
    if !args.command.is_empty() {
        return Ok(ServerSource::command(args.command.clone()));
    }
    let mut all = new_server::known(&args.server)?;
    let is_remote = |source: &ServerSource| matches!(source, ServerSource::Remote(..));
    let wants_remote = args.remote || args.oauth || !args.header.is_empty();
    if wants_remote || args.package {
        all.retain(|source| is_remote(source) == wants_remote);
    }
    let Some(first) = all.first() else {
        let form = if wants_remote {
            "remote server"
        } else {
            "package"
        };
        let server = &args.server;
        return Err(
            Error::new(Code::Usage, format!("cannot add server `{server}`"))
                .cause(format!("the catalog has no {form} `{server}`"))
                .hint(format!("run `mcpwrap add {server}` without the flag")),
        );
    };
    if all.len() == 1 || args.yes || args.dry_run {
        return Ok(first.clone());
    }
    let line = |(n, source): (usize, &ServerSource)| {
        format!("  {}  {}", n + 1, printable(&source.brief()))
    };
    let lines: Vec<_> = all.iter().enumerate().map(line).collect();
    let answer = ask::choice(&format!(
        "server `{}` has several forms:\n{}\nwhich one? [1-{}] ",
        args.server,
        lines.join("\n"),
        all.len()
    ))?;
    let chosen = answer.parse::<usize>().ok();
    let chosen = chosen.and_then(|number| all.get(number.checked_sub(1)?));
    chosen.cloned().ok_or_else(|| {
        Error::new(Code::Declined, "nothing was changed: no form was chosen")
            .hint("use `--remote` or `--package` to choose without a question")
    })
}

/// # Errors
/// `policy-exists`.
fn must_be_the_same(args: &Args, cx: &Context, policy: &Policy) -> Result<()> {
    let remote = policy.remote.as_ref();
    let is_other = args
        .url
        .as_ref()
        .is_some_and(|url| remote.is_none_or(|remote| remote.url != *url))
        || !args.command.is_empty() && policy.command != args.command
        || (args.remote || args.oauth || !args.header.is_empty()) && remote.is_none()
        || args.package && remote.is_some()
        || args.oauth && remote.is_some_and(|remote| remote.oauth.is_none())
        || remote.is_some_and(|remote| {
            let mut headers = args.header.iter();
            headers.any(|(name, value)| remote.headers.get(name) != Some(value))
        });
    if !is_other {
        return Ok(());
    }
    let server = &args.server;
    Err(
        Error::new(Code::PolicyExists, format!("cannot add server `{server}`"))
            .cause(format!(
                "its policy {} says something else",
                cx.dirs.tilde(&policy.path)
            ))
            .hint(format!(
                "run `mcpwrap add {server}` to use that policy, or `mcpwrap remove {server}` first"
            )),
    )
}

/// Refuses a server that no pin can make start.
///
/// # Errors
/// `unpinned`.
pub(super) fn must_start(policy: &Policy, config: &Config) -> Result<()> {
    if policy.remote.is_some() || pin::is_wanted(policy) {
        return Ok(());
    }
    package::check_pinned(policy, config)
}

impl PlannedPolicy {
    pub(super) fn show(&self, cx: &Context, out: &mut print::Lines) {
        let server = &self.policy.server;
        let state = if self.is_new {
            ""
        } else {
            " (exists, unchanged)"
        };
        out.line(&format!("policy `{server}`{state}:"));
        if let Some(brief) = &self.brief {
            out.line(&format!("  from       {}", printable(brief)));
        }
        out.text(&summary::text(&cx.dirs, &self.policy, &notes));
        if pin::is_wanted(&self.policy) {
            out.line("  pin        the current version is installed and pinned");
        }
    }
}

/// Writes the policy, if it is new.
///
/// # Errors
/// `policy-exists`, `file-unusable`.
pub(super) fn write(args: &Args, cx: &Context, planned: PlannedPolicy) -> Result<Policy> {
    if !planned.is_new {
        return Ok(planned.policy);
    }
    let policy = planned.draft.write(&cx.dirs, &planned.policy.server);
    let policy = policy.map_err(|mut error| {
        if error.code == Code::PolicyExists {
            // There was none when it was planned.
            error.hints = vec![format!("run {} again to use that policy", args.again())];
        }
        error
    })?;
    print::line(&format!("written: {}", cx.dirs.tilde(&policy.path)));
    Ok(policy)
}
