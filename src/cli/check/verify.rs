//! `check --verify`: shows which secret is sent to which host, confirms, and asks the providers.

use crate::check::Facts;
use crate::cli::{Context, ask as question, print};
use crate::config::Config;
use crate::error::{Code, Result};
use crate::grant::By;
use crate::ops::actor::Actor;
use crate::ops::{agents, head, release};
use crate::probe;
use crate::scan::stored::StoredSecrets;
use crate::settings::AgentAct;

/// Refuses an AI agent, and records the refusal.
///
/// # Errors
/// `agent-refused`; `audit-unwritable`.
pub(super) fn refuse_agents(cx: &Context) -> Result<()> {
    let config = Config::load(&cx.dirs)?;
    agents::refuse(&cx.dirs, &config, "check --verify", Some(AgentAct::Verify))
        .or_else(|refusal| release::record_refusal(&cx.dirs, &config, &refusal).and(Err(refusal)))
}

/// Asks the providers, if the user types the name of the server, or `verify` for several.
///
/// # Errors
/// `no-terminal`, and those of [`release::to_providers`].
pub(super) fn ask(cx: &Context, stored: Option<&StoredSecrets>, facts: &mut Facts) -> Result<()> {
    let plan = probe::plan(&cx.dirs, stored, facts);
    for (secret, why) in &plan.refused {
        print::warning(&format!("`{secret}` is not verified: {why}"));
    }
    let (Some(stored), Some((_, first))) = (stored, plan.requests.first()) else {
        print::note(
            "nothing to verify: no stored secret of a granted policy has a provider that can be asked",
        );
        return Ok(());
    };
    let line = |(address, request): &(probe::Address, probe::ProbeRequest)| {
        let (server, secret) = (&request.server, &request.secret);
        format!("  {server}: {secret} -> {}\n", address.shown())
    };
    let lines: String = plan.requests.iter().map(line).collect();
    let word = match plan.requests.len() {
        1 => first.server.to_string(),
        _ => "verify".to_owned(),
    };
    let text = format!("this sends each secret to its own provider, over TLS:\n{lines}");
    match question::type_name(&text, &word) {
        Err(error) if error.code == Code::Declined => {
            print::note("nothing was sent");
            return Ok(());
        }
        other => other?,
    }
    let actor = Actor::consenting(By::Terminal);
    facts.probes = release::to_providers(&cx.dirs, stored, actor, plan)?;
    match head::keep(&cx.dirs) {
        Err(error) if error.code == Code::AuditBroken => print::error(&error),
        Err(_) | Ok(()) => {}
    }
    Ok(())
}
