//! `mcpwrap login`: obtains the tokens for a server in the user's browser.

use super::browser_login::{LoginWay, log_in};
use super::{Context, print, print_revoked};
use crate::config::Config;
use crate::error::Result;
use crate::grant::{self, GrantStatus};
use crate::policy;
use crate::secret::{ProfileName, ServerName};
use crate::store::Prompt;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to log in to
    server: ServerName,
    /// Print the address instead of opening a browser
    #[arg(long)]
    no_browser: bool,
    /// Register and ask again, as if for the first time
    #[arg(long)]
    fresh: bool,
    /// Profile of the policy
    #[arg(long, value_name = "NAME")]
    profile: Option<ProfileName>,
}

pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let policy = policy::load(&cx.dirs, &args.server, args.profile.as_ref())?;
    // Before the new token: some issuers end all tokens of a client at once.
    print_revoked::retry(cx, &config, Prompt::Allowed, &[]);
    let way = LoginWay {
        no_browser: args.no_browser,
        fresh: args.fresh,
    };
    log_in(cx, &config, &policy, way)?;
    // The tokens of another issuer or client, which the new ones replaced.
    print_revoked::retry(cx, &config, Prompt::Allowed, &[]);
    let status = grant::status(&cx.dirs, &policy);
    if !matches!(status, GrantStatus::Granted | GrantStatus::Managed) {
        let server = &args.server;
        print::note(&format!(
            "its policy is {}: server `{server}` does not start before you run `mcpwrap grant {server}`",
            status.name()
        ));
    }
    Ok(0)
}
