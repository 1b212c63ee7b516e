//! `check --verify`: asks the providers about the stored secrets of all granted policies.

use crate::check::Facts;
use crate::cli::{Context, print, verifying};
use crate::error::{Code, Result};
use crate::probe;
use crate::scan::stored::StoredSecrets;

/// Asks the providers, if the user types the name of the server, or `verify` for several.
///
/// # Errors
/// `no-terminal`, and those of [`verifying::send`].
pub(super) fn ask(cx: &Context, stored: Option<&StoredSecrets>, facts: &mut Facts) -> Result<()> {
    let plan = probe::plan(&cx.dirs, stored, facts);
    for (secret, why) in &plan.refused {
        print::warning(&format!("`{secret}` is not verified: {why}"));
    }
    let Some(stored) = stored.filter(|_| !plan.requests.is_empty()) else {
        print::note(
            "nothing to verify: no stored secret of a granted policy has a provider that can be asked",
        );
        return Ok(());
    };
    match verifying::confirm(&plan) {
        Err(error) if error.code == Code::Declined => {
            print::note("nothing was sent");
            return Ok(());
        }
        other => other?,
    }
    let sent = verifying::send(cx, stored, plan);
    cx.keep_head();
    facts.probes = sent?;
    Ok(())
}
