//! Uses OAuth tokens like a supervisor, for tests: no command of mcpwrap needs a token by itself.
//!
//! `oauth-probe current SERVER [PROFILE]` and `renew GENERATION SERVER [PROFILE]` print the generation,
//! the expiry, the identity and a digest of the token; `revoke SERVER` takes its tokens back; `want
//! SERVER CHALLENGE` keeps the scopes of a challenge.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for tests"
)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use mcpwrap::testing::config::Config;
use mcpwrap::testing::dirs::Dirs;
use mcpwrap::testing::error::{Code, Error, Result};
use mcpwrap::testing::oauth::{self, EXCHANGE, OAuthToken, REFRESH, TokenPlace};
use mcpwrap::testing::policy;
use mcpwrap::testing::store::{self, Prompt};
use sha2::{Digest as _, Sha256};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.first() {
        // As in `main.rs`: this program is started again for these.
        Some(first) if *first == EXCHANGE => return oauth::exchange(),
        Some(first) if *first == REFRESH => return oauth::refresh(),
        _ => {}
    }
    match act(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{error}");
            ExitCode::from(2)
        }
    }
}

fn act(words: &[&str]) -> Result<()> {
    let dirs = Dirs::from_env()?;
    let config = Config::load(&dirs)?;
    let store = store::open(&dirs, &config, Prompt::Never)?;
    let load = |server: &str, profile: &[&str]| {
        let profile = profile.first().map(|name| name.parse()).transpose()?;
        policy::load(&dirs, &server.parse()?, profile.as_ref())
    };
    let deadline = Instant::now() + Duration::from_secs(8);
    let token = match words {
        ["current", server, profile @ ..] => {
            let policy = load(server, profile)?;
            let place = TokenPlace::new(&dirs, &*store, &policy)?;
            oauth::current(&place, None, deadline)?
        }
        ["renew", generation, server, profile @ ..] => {
            let generation = generation.parse().unwrap_or_default();
            let policy = load(server, profile)?;
            let place = TokenPlace::new(&dirs, &*store, &policy)?;
            oauth::renew(&place, generation, deadline)?
        }
        ["revoke", server] => {
            for done in oauth::revoke_all(&dirs, &config, &server.parse()?) {
                println!("{} {}", done.at_issuer.is_ok(), done.local.is_ok());
            }
            return Ok(());
        }
        ["want", server, challenge] => {
            let lines = [(*challenge).to_owned()];
            println!("{}", oauth::remember(&dirs, &load(server, &[])?, &lines)?);
            return Ok(());
        }
        _ => {
            let what = "oauth-probe: current | renew | revoke | want";
            return Err(Error::new(Code::Usage, what));
        }
    };
    let OAuthToken {
        name: _,
        access,
        generation,
        expires_at,
        scope: _,
        identity,
    } = token;
    let digest = mcpwrap::testing::secret::hex(&Sha256::digest(access.expose()));
    println!(
        "{generation} {} {identity} {digest}",
        expires_at.unwrap_or(-1)
    );
    Ok(())
}
