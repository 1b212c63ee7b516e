//! `mcpwrap log who-has NAME`: the running servers that hold a secret now, and every server that
//! ever got it, with fingerprints, so that an old value still in use is seen.

use jiff::tz::TimeZone;

use super::table::local;
use super::{Context, print, tell_skipped, unreadable};
use crate::audit::holders::{SecretHolders, who_has};
use crate::audit::text::shown;
use crate::error::{EXIT_NO, Result};
use crate::secret::SecretName;
use crate::store::Index;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The secret
    #[arg(value_name = "NAME")]
    name: SecretName,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let index = Index::load(&cx.dirs).ok();
    let listed = index.and_then(|index| Some(index.secrets.get(&args.name)?.fingerprint.clone()));
    let (answer, skipped) = who_has(&cx.dirs.audit(), &args.name, listed)
        .map_err(|problem| unreadable(&problem, cx))?;
    let nobody = answer.ever.is_empty();
    if args.json {
        print::line(&serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        show(&answer);
    }
    Ok(tell_skipped(&skipped).max(if nobody { EXIT_NO } else { 0 }))
}

fn show(answer: &SecretHolders) {
    let zone = TimeZone::system();
    if answer.ever.is_empty() {
        print::note(&format!("no server ever got `{}`", answer.secret));
        return;
    }
    print::line(&format!("running servers that hold {} now:", answer.secret));
    for holder in &answer.now {
        let value = holder.fingerprint.as_deref().unwrap_or("-");
        let old = if holder.old {
            "  an old value: `mcpwrap renew` gives it the new one"
        } else {
            ""
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
    print::line("servers that ever got it:");
    for found in &answer.ever {
        let server = found.server.as_ref().map_or("-", |server| server.as_str());
        let values: Vec<_> = found.fingerprints.iter().map(String::as_str).collect();
        print::line(&shown(&format!(
            "  {server:<16}  {} times, last {}  values {}",
            found.times,
            local(found.last, &zone),
            values.join(" ")
        )));
    }
    if let Some(current) = &answer.current {
        print::line(&format!("the value in the store is {current}"));
    }
}
