//! `check --verify`: shows which secret is sent to which host, confirms, and asks the providers.

use crate::check::Facts;
use crate::cli::{ask as question, print};
use crate::error::Result;
use crate::probe;
use crate::scan::stored::StoredSecrets;

/// Asks the providers, if the user agrees.
///
/// # Errors
/// `no-terminal`, and those of [`probe::ask`].
pub(super) fn ask(stored: Option<&StoredSecrets>, facts: &mut Facts) -> Result<()> {
    let plan = probe::plan(stored, facts);
    for (secret, why) in &plan.refused {
        print::warning(&format!("`{secret}` is not verified: {why}"));
    }
    if plan.requests.is_empty() {
        print::note("nothing to verify: no provider of these secrets can be asked");
        return Ok(());
    }
    let line = |(address, request): &(probe::Address, probe::ProbeRequest)| {
        format!("  {} -> {}\n", request.secret, address.shown())
    };
    let lines: String = plan.requests.iter().map(line).collect();
    let text = format!("this sends each secret to its own provider, over TLS:\n{lines}send them?");
    if !question::confirm(&text)? {
        print::note("nothing was sent");
        return Ok(());
    }
    facts.probes = probe::ask(plan)?;
    Ok(())
}
