//! What the user should know about a policy beyond its text.

use super::embedded_secrets;
use crate::catalog;
use crate::config::Config;
use crate::launch::container;
use crate::package;
use crate::policy::mint::MintSource;
use crate::policy::{Policy, ambient};

/// Notes about a policy, for whoever reads or approves it.
pub fn notes(policy: &Policy) -> Vec<String> {
    let mut notes = embedded_secrets::warnings(policy);
    if policy.fence
        && let Some(reason) = package::unfenced(&policy.command)
    {
        notes.push(format!(
            "{reason}, which does not work inside the fence; if the server fails, set `fence = false`"
        ));
    }
    let chosen = policy.env.pass.iter().filter(|name| ambient::chooses(name));
    let chosen: Vec<_> = chosen.map(|name| format!("`{name}`")).collect();
    if !chosen.is_empty() {
        notes.push(format!(
            "the client chooses {}, and with it a program, a daemon or an account: set it by value in `env.set`",
            chosen.join(", ")
        ));
    }
    notes.extend(far_reaching(policy));
    notes.extend(container::untracked(&policy.command).map(str::to_owned));
    notes
}

/// That a server will not start, because its version is not fixed, and what changes that.
pub fn refused(policy: &Policy, config: &Config) -> Option<String> {
    let error = package::check_pinned(policy, config).err()?;
    let fix = error.hints.first().map_or("", String::as_str);
    Some(format!("will be refused: not pinned; {fix}"))
}

/// What the far-reaching scopes and permissions allow that the policy asks for, in one line.
fn far_reaching(policy: &Policy) -> Option<String> {
    let mut wide = Vec::new();
    let remote = policy.remote.iter();
    let remote = remote.filter_map(|remote| remote.oauth.as_ref());
    let mints = policy.oauth_mints().map(|(_, mint)| &mint.rules);
    for oauth in remote.chain(mints) {
        let scopes = catalog::scopes_of(Some(policy), oauth.issuer.as_deref());
        let named: Vec<_> = oauth.scopes.iter().map(String::as_str).collect();
        wide.extend(scopes.map(|known| known.wide(&named)).unwrap_or_default());
    }
    for rules in policy.mints.values() {
        if let MintSource::GithubApp(app) = &rules.source {
            let known = catalog::of_github_app();
            wide.extend(
                known
                    .map(|known| known.wide_permissions(&app.permissions))
                    .unwrap_or_default(),
            );
        }
    }
    (!wide.is_empty()).then(|| format!("far-reaching: {}", wide.join(", ")))
}
