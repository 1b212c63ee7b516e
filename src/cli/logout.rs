//! `mcpwrap logout`: takes the tokens of a server back.

use super::{Context, print, print_revoked};
use crate::config::Config;
use crate::error::Result;
use crate::ops::logout;
use crate::secret::{ProfileName, ServerName};
use crate::store::Prompt;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Server to log out of
    server: ServerName,
    /// Profile of the policy
    #[arg(long, value_name = "NAME")]
    profile: Option<ProfileName>,
}

/// The exit code is 1 if a token may still be valid, there or here.
pub fn run(args: &Args, cx: &Context) -> Result<u8> {
    let config = Config::load(&cx.dirs)?;
    let server = &args.server;
    let kept = print_revoked::retry(cx, &config, Prompt::Allowed, std::slice::from_ref(server));
    let done = logout::logout(&cx.dirs, &config, server, args.profile.as_ref())?;
    if done.is_empty() {
        print::note(&format!("nobody is logged in to server `{server}`"));
    }
    Ok(done.iter().map(print_revoked::report).fold(kept, u8::max))
}
