//! `mcpwrap login`: obtains a token for a remote server in the user's browser.

use std::sync::mpsc::{Sender, channel};

use super::{Context, ask, print};
use crate::config::Config;
use crate::dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::oauth::login::LoginBrowser;
use crate::ops::login::{self, LoggedIn};
use crate::policy;
use crate::secret::{ProfileName, ServerName};
use crate::sys::browser;

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
    let mut agree = |text: &str, is_approved: bool| {
        if is_approved {
            print::text(text);
            return Ok(());
        }
        if ask::confirm(&format!("{text}go on?"))? {
            return Ok(());
        }
        Err(Error::new(Code::Declined, "nobody was asked for a token"))
    };
    let (sender, pasted) = channel();
    let mut show = |address: &str| show(address, args.no_browser.then(|| sender.clone()));
    let mut wrong = |why: &str| print::warning(&format!("{why}; paste the whole address"));
    let mut browser = LoginBrowser {
        show: &mut show,
        pasted: &pasted,
        wrong: &mut wrong,
    };
    let done = login::login(
        &cx.dirs,
        &config,
        &policy,
        args.fresh,
        &mut agree,
        &mut browser,
    )?;
    report(&args.server, &done);
    Ok(0)
}

/// `paste`: no browser is opened, and what the user pastes goes there.
fn show(address: &str, paste: Option<Sender<String>>) {
    if let Some(paste) = paste {
        print::line("open this address in a browser:");
        print::line(address);
        // Without a terminal, a browser of this machine can still answer.
        if ask::send_lines(paste).is_ok() {
            print::note(
                "then paste the address at which the browser ends, even if it shows an error",
            );
        }
        return;
    }
    print::line("the browser opens; if it does not, open this address:");
    print::line(address);
    let program = dirs::browser();
    if let Err(error) = browser::open(program.as_deref(), address) {
        let shown = program.map_or_else(
            || "the browser".to_owned(),
            |name| format!("`{}`", name.display()),
        );
        print::warning(&format!("cannot open {shown}: {}", io_text(&error)));
    }
}

fn report(server: &ServerName, done: &LoggedIn) {
    print::line(&format!("logged in: {server}, by {}", done.issuer));
    if !done.scope.is_empty() {
        print::line(&format!("scopes: {}", done.scope));
    }
    let end = done
        .expires_at
        .and_then(|end| jiff::Timestamp::from_second(end).ok());
    match (end, done.is_renewable) {
        (_, true) => print::note("the token is renewed without another login"),
        (Some(end), false) => {
            let end = end.to_zoned_datetime(jiff::tz::TimeZone::system());
            print::note(&format!(
                "the token ends on {}, and cannot be renewed",
                end.strftime("%Y-%m-%d %H:%M")
            ));
        }
        (None, false) => {}
    }
}
