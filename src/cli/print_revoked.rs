//! Says what became of the OAuth tokens and the short-lived credentials of servers that were taken back, now
//! or earlier.

use super::{Context, print};
use crate::config::Config;
use crate::error::{EXIT_NO, Result, printable};
use crate::mint::left::WithdrawnMints;
use crate::oauth::revoke::RevokedToken;
use crate::oauth::unrevoked::RetriedToken;
use crate::ops::logout;
use crate::secret::ServerName;
use crate::store::Prompt;

/// Tries the tokens of earlier logouts that are still to be revoked. The exit code is 1 if one of these
/// servers may still be valid.
pub(super) fn retry(cx: &Context, config: &Config, prompt: Prompt, servers: &[ServerName]) -> u8 {
    let done = match logout::revoke_kept(&cx.dirs, config, prompt) {
        Ok(done) => done,
        Err(error) => {
            print::error(&error);
            return 0;
        }
    };
    let mut code = 0;
    for token in &done {
        let RetriedToken {
            owner,
            issuer,
            since,
            result,
        } = token;
        let date = jiff::Timestamp::from_second(*since).map_or_else(
            |_| String::new(),
            |at| {
                let at = at.to_zoned_datetime(jiff::tz::TimeZone::system());
                format!(" of {}", at.date())
            },
        );
        match result {
            Ok(()) => print::line(&format!(
                "revoked: the token{date} of {} at {issuer}",
                owner.brief()
            )),
            Err(error) => {
                print::warning(&printable(&format!(
                    "the token{date} of {} may still be valid at {issuer}: {}",
                    owner.shown(),
                    error.reasons()
                )));
                if servers.contains(&owner.server) {
                    code = EXIT_NO;
                }
            }
        }
    }
    code
}

/// The exit code is 1 if the token may still be valid, at its issuer or here.
pub(super) fn report(done: &RevokedToken) -> u8 {
    let owner = &done.owner;
    let mut code = 0;
    match &done.at_issuer {
        Ok(()) => print::line(&format!(
            "revoked: the token of {} at {}",
            owner.brief(),
            done.issuer
        )),
        Err(error) => {
            print::error(
                &error
                    .clone()
                    .context(format!("the token of {} may still be valid", owner.shown())),
            );
            if done.is_kept {
                print::note(
                    "it is kept to be revoked later: the next `mcpwrap logout`, `revoke`, `login` and the \
                     next start of a server try again",
                );
            }
            code = EXIT_NO;
        }
    }
    match &done.local {
        Ok(()) => print::line(&format!(
            "removed: the token of {} from the store",
            owner.brief()
        )),
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
            |ends| {
                let ends = ends.to_zoned_datetime(jiff::tz::TimeZone::system());
                format!(
                    "it ends by itself at {}",
                    ends.strftime("%Y-%m-%d %H:%M:%S")
                )
            },
        );
        print::error(
            &error
                .context(format!("a credential of server `{server}` is still valid"))
                .cause(format!("{mints}: {ends}"))
                .hint(format!(
                    "run `mcpwrap revoke {server}` again; `mcpwrap status` tries too"
                )),
        );
    }
    code
}
