//! `mcpwrap log who-has NAME`: the running servers that hold a secret, all servers that ever
//! received it, and its releases, with fingerprints, which show outdated values.

use jiff::tz::TimeZone;

use super::table::local;
use super::{Context, print, unreadable, warn_skipped};
use crate::audit::holders::{SecretHolders, who_has};
use crate::audit::text::shown;
use crate::error::{EXIT_NO, Result};
use crate::reference::SecretLabel;
use crate::store::Index;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    name: SecretLabel,
    /// Print JSON (see docs/audit.md)
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let index = Index::load(&cx.dirs).ok();
    let listed =
        index.and_then(|index| Some(index.secrets.get(args.name.local()?)?.fingerprint.clone()));
    let (answer, skipped) = who_has(&cx.dirs.audit(), &args.name, listed)
        .map_err(|problem| unreadable(&problem, cx))?;
    let never_left = answer.ever.is_empty() && answer.released.is_empty();
    if args.json {
        print::line(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        show(&answer);
    }
    Ok(warn_skipped(&skipped).max(if never_left { EXIT_NO } else { 0 }))
}

fn show(answer: &SecretHolders) {
    let zone = TimeZone::system();
    if answer.ever.is_empty() && answer.released.is_empty() {
        print::note(&format!(
            "`{}` was never injected or released",
            answer.secret
        ));
        return;
    }
    print::line(&format!("running servers with `{}`:", answer.secret));
    for holder in &answer.now {
        let value = holder.fingerprint.as_deref().unwrap_or("-");
        let old = if holder.old {
            format!(
                "  outdated value; run `mcpwrap renew {}` to update",
                holder.server
            )
        } else {
            String::new()
        };
        let pid = holder
            .pid
            .map(|pid| format!("process {pid}"))
            .unwrap_or_default();
        let line = format!(
            "  {:<16}  since {}  value {value}  {pid}{old}",
            shown(&holder.server),
            local(holder.since, &zone)
        );
        print::line(&shown(line.trim_end()));
    }
    if answer.now.is_empty() {
        print::line("  none");
    }
    print::line("all servers that received it:");
    for found in &answer.ever {
        let server = found.server.as_ref().map_or("-", |server| server.as_str());
        let values: Vec<_> = found.fingerprints.iter().map(String::as_str).collect();
        print::line(&shown(&format!(
            "  {server:<16}  {}, last {}  values {}",
            print::count(found.times, "time"),
            local(found.last, &zone),
            values.join(" ")
        )));
    }
    if !answer.released.is_empty() {
        print::line("released without a server:");
    }
    for found in &answer.released {
        print::line(&shown(&format!(
            "  {:<16}  {} {}  value {}",
            found.reason.as_deref().unwrap_or("-"),
            local(found.time, &zone),
            found.to.as_deref().unwrap_or("-"),
            found.fingerprint.as_deref().unwrap_or("-")
        )));
    }
    if let Some(current) = &answer.current {
        print::line(&format!("fingerprint of the stored value: {current}"));
    }
}
