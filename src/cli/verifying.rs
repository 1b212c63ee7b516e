//! `--verify`: shows which secret is sent to which host, confirms, asks the providers, and says what they
//! answer.

use super::{Context, ask, print};
use crate::check::{ProbeRecord, ProbeResult};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::grant::{self, By};
use crate::ops::actor::Actor;
use crate::ops::{agents, release};
use crate::policy::Policy;
use crate::probe::{self, Address, ProbePlan, ProbeRequest};
use crate::scan::stored::{self, StoredSecrets};
use crate::settings::AgentAct;

/// Refuses an AI agent, and records the refusal.
///
/// # Errors
/// `agent-refused`; `audit-unwritable`.
pub fn refuse_agents(cx: &Context, command: &str) -> Result<()> {
    let config = Config::load(&cx.dirs)?;
    agents::refuse(&cx.dirs, &config, command, Some(AgentAct::Verify))
        .or_else(|refusal| release::record_refusal(&cx.dirs, &config, &refusal).and(Err(refusal)))
}

/// Shows what would be sent, and asks the user to type the name of the server, or `verify` for several.
///
/// # Errors
/// `no-terminal`; `declined`.
pub fn confirm(plan: &ProbePlan) -> Result<()> {
    let line = |(address, request): &(Address, ProbeRequest)| {
        let (server, secret) = (&request.server, &request.secret);
        format!("  {server}: {secret} -> {}\n", address.shown())
    };
    let lines: String = plan.requests.iter().map(line).collect();
    let word = match plan.requests.as_slice() {
        [(_, only)] => only.server.to_string(),
        _ => "verify".to_owned(),
    };
    let text = format!("this sends each secret to its own provider, over TLS:\n{lines}");
    ask::type_name(&text, &word)
}

/// Asks the providers, after the user agreed, and keeps the ends that they tell.
///
/// # Errors
/// Those of [`release::to_providers`].
pub fn send(cx: &Context, stored: &StoredSecrets, plan: ProbePlan) -> Result<Vec<ProbeRecord>> {
    let actor = Actor::consenting(By::Terminal);
    let records = release::to_providers(&cx.dirs, stored, actor, plan)?;
    let config = Config::load(&cx.dirs)?;
    match release::keep_ends(&cx.dirs, &config, &stored.keys, actor, &records) {
        Ok(kept) => {
            for (secret, end) in kept {
                print::note(&format!("`{secret}` expires on {end}: stored with it"));
            }
        }
        Err(error) => print::warning(&format!(
            "the expiry date was not stored: {}",
            error.reasons()
        )),
    }
    Ok(records)
}

/// Asks the provider about the secret of a policy that the user has just read and is about to grant.
///
/// # Errors
/// `credentials-refused` if the provider rejects it; those of [`confirm`] and [`send`]; those of the store.
pub fn before_grant(cx: &Context, config: &Config, policy: &Policy) -> Result<()> {
    let stored = stored::open_for(&cx.dirs, config, policy)?;
    for line in ask_about(cx, &stored, policy, "grant")? {
        print::line(&line);
    }
    Ok(())
}

/// Asks the provider about the secret of a granted policy whose server is about to be tested. Returns
/// what it said.
///
/// # Errors
/// As [`before_grant`]; those of the grant.
pub fn before_test(cx: &Context, config: &Config, policy: &Policy) -> Result<Vec<String>> {
    let stored = stored::open_for(&cx.dirs, config, policy)?;
    // A policy that nobody approved could name the secret of another server.
    grant::find(&cx.dirs, policy).and_then(|grant| grant.verify(&stored.keys))?;
    ask_about(cx, &stored, policy, "test")
}

/// Offers to ask the provider about the secret of a policy that was just granted. Returns what it
/// said; nothing if there is no such request, or the user does not want it.
///
/// # Errors
/// As [`before_test`].
pub fn offer(cx: &Context, config: &Config, policy: &Policy) -> Result<Vec<String>> {
    let stored = stored::open_for(&cx.dirs, config, policy)?;
    grant::find(&cx.dirs, policy).and_then(|grant| grant.verify(&stored.keys))?;
    let Ok(plan) = probe::plan_of(&stored, policy, &cx.dirs.tilde(&policy.path)) else {
        return Ok(Vec::new());
    };
    let line = |(address, request): &(Address, ProbeRequest)| {
        format!("  {} -> {}\n", request.secret, address.shown())
    };
    let lines: String = plan.requests.iter().map(line).collect();
    let text = format!("\nis the secret valid? its provider is asked over TLS:\n{lines}ask now?");
    if !ask::confirm(&text)? {
        return Ok(Vec::new());
    }
    answers(cx, &stored, (policy, plan), "add")
}

fn ask_about(
    cx: &Context,
    stored: &StoredSecrets,
    policy: &Policy,
    act: &str,
) -> Result<Vec<String>> {
    let plan = match probe::plan_of(stored, policy, &cx.dirs.tilde(&policy.path)) {
        Ok(plan) => plan,
        Err(why) => {
            print::note(&format!("nothing to verify: {why}"));
            return Ok(Vec::new());
        }
    };
    confirm(&plan)?;
    answers(cx, stored, (policy, plan), act)
}

/// Asks the providers, and says what they answer.
fn answers(
    cx: &Context,
    stored: &StoredSecrets,
    (policy, plan): (&Policy, ProbePlan),
    act: &str,
) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for record in send(cx, stored, plan)? {
        let (secret, host) = (&record.secret, &record.host);
        match &record.result {
            ProbeResult::Good { scopes, .. } => said.push(good(&record, scopes.as_deref())),
            ProbeResult::Refused(status) => {
                return Err(Error::new(
                    Code::CredentialsRefused,
                    format!("cannot {act} server `{}`", policy.server),
                )
                .cause(format!("`{secret}` was refused by {host} ({status})"))
                .hint(format!(
                    "create a new one with the provider, then run `mcpwrap secret rotate {secret}`"
                )));
            }
            ProbeResult::Unclear(why) => print::warning(&format!(
                "{host} did not say whether `{secret}` is valid: {why}"
            )),
        }
    }
    Ok(said)
}

/// A valid secret: until when, and its scopes, as far as that is known.
fn good(record: &ProbeRecord, scopes: Option<&[String]>) -> String {
    let until = record
        .end()
        .map_or_else(String::new, |end| format!(" until {end}"));
    let scopes = match scopes {
        None => format!("{} does not tell its scopes", record.host),
        Some([]) => "no scopes".to_owned(),
        Some(scopes) => {
            let shown = |scope: &String| {
                let known = record.known.map(|known| known.shown(scope));
                known.unwrap_or_else(|| scope.clone())
            };
            let shown: Vec<_> = scopes.iter().map(shown).collect();
            format!("scopes {}", shown.join(", "))
        }
    };
    format!("`{}` is valid{until}, {scopes}", record.secret)
}
