//! `mcpwrap logout`: takes the tokens of a server back.

use super::{Context, print, print_revoked};
use crate::config::Config;
use crate::error::{Code, Result};
use crate::oauth::owner::TokenOwner;
use crate::ops::logout;
use crate::policy;
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
        let others = logout::of_other_profiles(&cx.dirs, server, args.profile.as_ref())?;
        if others.is_empty() && kept == 0 {
            // A name that was mistyped has neither a login nor a policy.
            if let Err(error) = policy::load(&cx.dirs, server, None)
                && error.code == Code::PolicyNotFound
            {
                return Err(error);
            }
        }
        print::note(&nobody(args, &others));
    }
    Ok(done.iter().map(print_revoked::report).fold(kept, u8::max))
}

/// That there is no login to end, and which there are with other profiles.
fn nobody(args: &Args, others: &[TokenOwner]) -> String {
    let server = &args.server;
    if others.is_empty() {
        return format!("nobody is logged in to server `{server}`");
    }
    let shown = |profile: Option<&ProfileName>| match profile {
        Some(profile) => format!("with profile `{profile}`"),
        None => "without a profile".to_owned(),
    };
    let own = shown(args.profile.as_ref());
    let others = others.iter().map(|owner| {
        let profile = shown(owner.profile.as_ref());
        format!("{profile}, which `{}` ends", owner.logout_command())
    });
    let others = others.collect::<Vec<_>>().join(", and ");
    format!("nobody is logged in to server `{server}` {own}, but there is a login {others}")
}
