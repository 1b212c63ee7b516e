//! Says what became of the OAuth tokens and the short-lived credentials of a server that was revoked.

use super::print;
use crate::error::{EXIT_NO, Result};
use crate::mint::left::WithdrawnMints;
use crate::oauth::revoke::RevokedToken;

/// The exit code is 1 if the token may still be valid, at its issuer or here.
pub(super) fn report(done: &RevokedToken) -> u8 {
    let server = &done.server;
    let mut code = 0;
    match &done.at_issuer {
        Ok(()) => print::line(&format!(
            "revoked: the token of {server} at {}",
            done.issuer
        )),
        Err(error) => {
            print::error(
                &error
                    .clone()
                    .context(format!("the token of server `{server}` may still be valid")),
            );
            code = EXIT_NO;
        }
    }
    match &done.local {
        Ok(()) => print::line(&format!("removed: the token of {server} from the store")),
        Err(error) => {
            print::error(error);
            code = EXIT_NO;
        }
    }
    code
}

/// The exit code is 1 if a credential may still be valid at its issuer.
pub(super) fn credentials(done: Result<Vec<WithdrawnMints>>) -> u8 {
    let done = match done {
        Ok(done) => done,
        Err(error) => {
            print::error(&error);
            return EXIT_NO;
        }
    };
    let mut code = 0;
    for one in done {
        let (server, mints) = (&one.server, one.mints.join(", "));
        let Some(error) = one.error else {
            print::line(&format!("withdrawn: {mints} for {server}"));
            continue;
        };
        code = EXIT_NO;
        let ends = one
            .ends
            .and_then(|ends| jiff::Timestamp::from_second(ends).ok());
        let ends = ends.map_or_else(
            || "its issuer does not say when it ends".to_owned(),
            |ends| format!("it ends by itself at {}", ends.strftime("%H:%M:%S UTC")),
        );
        print::error(
            &error
                .context(format!("a credential of server `{server}` is still valid"))
                .cause(format!("{mints}: {ends}"))
                .hint("`mcpwrap status` tries again"),
        );
    }
    code
}
