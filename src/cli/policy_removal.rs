//! Takes back what a server has, and removes its policy.

use super::print_ended::{report, report_containers};
use super::{Context, print, print_revoked, print_unused};
use crate::error::{EXIT_ERROR, Result};
use crate::ops::actor::Actor;
use crate::ops::pin::installed;
use crate::ops::revoke;
use crate::policy::draft;
use crate::secret::ServerName;

/// Stops and revokes the server, and withdraws its tokens and credentials. The exit code is not 0 if something of
/// it may still run or be valid.
pub(super) fn take_back(cx: &Context, server: &ServerName, actor: Actor, reason: &str) -> u8 {
    let servers = std::slice::from_ref(server);
    let reason = Some(reason);
    let done = revoke::revoke(&cx.dirs, Some(servers), reason);
    if let Err(error) = revoke::record(&cx.dirs, &done.grants, actor, reason) {
        print::error(&error);
    }
    let mut code = 0;
    if report(&done.ended) | report_containers(&done.containers) {
        code = EXIT_ERROR;
    }
    for token in &revoke::tokens(&cx.dirs, servers) {
        code = code.max(print_revoked::report(token));
    }
    let minted = revoke::credentials(&cx.dirs, servers, &done.minted);
    code.max(print_revoked::credentials(minted))
}

/// Removes the policy. A package that no other policy uses stays until the user removes it.
///
/// # Errors
/// `file-unusable`.
pub(super) fn remove(cx: &Context, server: &ServerName) -> Result<()> {
    draft::remove(&cx.dirs, server)?;
    print::line(&format!("removed: policy {server}"));
    print_unused::freed(&installed(&cx.dirs)?);
    Ok(())
}
