//! Says what became of the OAuth token of a remote server that was taken back.

use super::print;
use crate::error::EXIT_NO;
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
