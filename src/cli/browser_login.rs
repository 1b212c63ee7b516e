//! A login in the user's browser: the questions before it, the address, and what was granted.

use std::sync::mpsc::{Sender, channel};

use super::{Context, ask, print, print_weak};
use crate::config::Config;
use crate::dirs;
use crate::error::{Code, Error, Result};
use crate::files::io_text;
use crate::oauth::login::LoginBrowser;
use crate::oauth::owner::TokenOwner;
use crate::oauth::place::needs_no_login;
use crate::ops::login::{self, LoggedIn, LoginManner};
use crate::policy::Policy;
use crate::sys::browser;

/// How the user logs in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LoginWay {
    /// Print the address instead of opening a browser.
    pub(super) no_browser: bool,
    /// Register and ask again.
    pub(super) fresh: bool,
}

/// Logs in to a remote server, or to the account of each mint, and says what was granted.
///
/// # Errors
/// As [`login::login`]; `declined`, `no-terminal`.
pub(super) fn log_in(cx: &Context, config: &Config, policy: &Policy, way: LoginWay) -> Result<()> {
    let owners = TokenOwner::of_policy(policy);
    if owners.is_empty() {
        return Err(needs_no_login(policy));
    }
    let manner = LoginManner {
        is_fresh: way.fresh,
        // Who has one login and asks for it wants a new one.
        keeps_good: owners.len() > 1 && !way.fresh,
    };
    for owner in &owners {
        log_in_once(cx, config, (policy, owner), (way, manner))?;
    }
    Ok(())
}

fn log_in_once(
    cx: &Context,
    config: &Config,
    (policy, owner): (&Policy, &TokenOwner),
    (way, manner): (LoginWay, LoginManner),
) -> Result<()> {
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
    let mut show = |address: &str| show(address, way.no_browser.then(|| sender.clone()));
    let mut wrong = |why: &str| print::warning(&format!("{why}; paste the whole address"));
    let mut browser = LoginBrowser {
        show: &mut show,
        pasted: &pasted,
        wrong: &mut wrong,
    };
    let done = login::login(
        &cx.dirs,
        config,
        (policy, owner),
        manner,
        &mut agree,
        &mut browser,
    )?;
    match done {
        Some(done) => report(owner, &done),
        None => print::note(&format!(
            "still logged in: {}; `{} --fresh` logs in again",
            owner.brief(),
            owner.login_command()
        )),
    }
    Ok(())
}

/// `paste`: no browser is opened, and what the user pastes goes there.
fn show(address: &str, paste: Option<Sender<Option<String>>>) {
    if let Some(paste) = paste {
        print::line("open this address in a browser:");
        print::line(address);
        // Without a terminal, a browser of this machine can still answer.
        if ask::send_lines(paste).is_ok() {
            print::note(
                "then paste the address at which the browser ends, even if it shows an error (Ctrl-D ends the \
                 login)",
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

fn report(owner: &TokenOwner, done: &LoggedIn) {
    print::line(&format!("logged in: {}, by {}", owner.brief(), done.issuer));
    if !done.scope.is_empty() {
        print::line(&format!("scopes: {}", done.scope));
    }
    if !done.more.is_empty() {
        print::warning(&format!(
            "the authorization server also granted what you were not asked for: {}",
            done.more
        ));
    }
    if !done.missing.is_empty() {
        print::note(&format!("not granted: {}", done.missing));
    }
    if let Some(weakness) = done.weakness {
        print_weak::not_masked(&owner.token(), weakness);
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
