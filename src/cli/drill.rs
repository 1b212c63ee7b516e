//! `mcpwrap drill`: tests the kill switch on this machine and measures it.

use super::{Context, print};
use crate::drill::{self, Drill, FaultOutcome, FaultResult, failed};
use crate::error::{EXIT_NO, Result};
use crate::secret::ServerName;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Use this server's command with dummy secrets
    server: Option<ServerName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the drill; 1 if the kill switch did not work.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let drill = drill::run(&cx.dirs, args.server.as_ref())?;
    if args.json {
        print::line(&serde_json::to_string(&drill).unwrap_or_default());
    } else {
        report(&drill);
    }
    Ok(if drill.ok { 0 } else { EXIT_NO })
}

fn report(drill: &Drill) {
    let ms = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("{ms} ms"));
    let yes = |done: bool| if done { "yes" } else { "NO" };
    print::line(&format!("client notified:    {}", ms(drill.first_error_ms)));
    print::line(&format!(
        "processes exited:   {} ({})",
        ms(drill.dead_ms),
        print::count(drill.processes, "process")
    ));
    print::line(&format!("session kept:       {}", yes(drill.session_kept)));
    print::line(&format!("new start refused:  {}", yes(drill.start_refused)));
    for FaultResult { fault, result } in &drill.faults {
        let result = match result {
            FaultOutcome::Works => "works",
            FaultOutcome::Fails => "FAILS",
            FaultOutcome::Skipped => "skipped (cannot be tried here)",
        };
        print::line(&format!("{:<19} {result}", format!("{}:", fault.name())));
    }
    if drill.ok {
        print::line("the kill switch works on this machine");
    } else {
        print::error(
            &failed("the kill switch does NOT work on this machine")
                .cause("at least one result above is not as promised")
                .hint("end servers with `kill -9` and rotate their secrets at the provider"),
        );
    }
}
