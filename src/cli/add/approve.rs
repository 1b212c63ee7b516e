//! Pins, approves, logs in and asks the provider: what makes the server start with good credentials.

use std::ops::ControlFlow;

use super::{Args, with_again};
use crate::cli::browser_login::{LoginWay, log_in};
use crate::cli::installing::Installing;
use crate::cli::interrupts::Interrupts;
use crate::cli::{Context, ask, pin_report, print, verifying};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::grant;
use crate::invocation::{self, Terminal};
use crate::oauth::index::OAuthIndex;
use crate::oauth::owner::TokenOwner;
use crate::ops::actor::Actor;
use crate::ops::pin::{self, Installation, PinCandidate, PinOptions, Pinned};
use crate::ops::pin_several::{self, PinEvent, stop_if};
use crate::ops::{approve, needs, question};
use crate::policy::{self, Policy};
use crate::secret::Keys;

/// Whether nothing of this is left to do.
///
/// # Errors
/// Those of the index.
pub(super) fn is_done(cx: &Context, policy: &Policy) -> Result<bool> {
    let is_granted = grant::find(&cx.dirs, policy).is_ok();
    Ok(is_granted && !pin::is_wanted(policy) && logins(cx, policy)?.is_empty())
}

/// Does what is left of it, and returns the policy as it is then.
///
/// # Errors
/// Those of the pin, the store and the login; `declined`, `no-terminal`; `credentials-refused`.
pub(super) fn approve(
    args: &Args,
    cx: &Context,
    config: &Config,
    (actor, keys): (Actor, &Keys),
    policy: &Policy,
) -> Result<Policy> {
    if !actor.is_asked() {
        must_be_new(cx, policy)?;
    }
    let was_granted = grant::find(&cx.dirs, policy).is_ok();
    if pin::is_wanted(policy) {
        pin_it(cx, config, (actor, keys), policy).map_err(|error| with_again(args, error))?;
    } else if !was_granted {
        grant_it(cx, (actor, keys), policy)?;
    }
    let policy = policy::load(&cx.dirs, &policy.server, None)?;
    for note in needs::notes(&cx.dirs, &policy, &Terminal::new(&cx.dirs)) {
        print::note(&note);
    }
    if !logins(cx, &policy)?.is_empty() {
        let way = LoginWay {
            no_browser: args.no_browser,
            fresh: false,
        };
        log_in(cx, config, &policy, way).map_err(|error| with_again(args, error))?;
    }
    if actor.is_asked() && !was_granted {
        let said = verifying::offer(cx, config, &policy);
        for line in said.map_err(|error| with_again(args, error))? {
            print::line(&line);
        }
    }
    Ok(policy)
}

/// What the user revoked, or changed after it was granted, needs a look: `--yes` is none.
///
/// # Errors
/// `revoked`, `policy-changed`, `grant-broken`.
fn must_be_new(cx: &Context, policy: &Policy) -> Result<()> {
    match grant::find(&cx.dirs, policy) {
        Err(error) if error.code != Code::NotGranted => Err(error),
        _ => Ok(()),
    }
}

/// The tokens that the policy needs and nobody logged in for.
fn logins(cx: &Context, policy: &Policy) -> Result<Vec<TokenOwner>> {
    let index = OAuthIndex::load(&cx.dirs)?;
    let mut owners = TokenOwner::of_policy(policy);
    owners.retain(|owner| index.find(owner).is_none());
    Ok(owners)
}

fn granted(policy: &Policy) {
    print::line(&format!("granted: {}", policy.server));
}

fn grant_it(cx: &Context, (actor, keys): (Actor, &Keys), policy: &Policy) -> Result<()> {
    let resolved = invocation::resolve(policy, &cx.dirs)?;
    if actor.is_asked() {
        let text = question::question(&cx.dirs, policy, &resolved, keys);
        ask::type_name(&format!("\n{text}"), policy.server.as_str())?;
    }
    approve::approve(&cx.dirs, policy, &resolved, keys, actor)?;
    granted(policy);
    Ok(())
}

/// Installs the current version, shows what it is with all that the policy allows, and approves it.
fn pin_it(
    cx: &Context,
    config: &Config,
    (actor, keys): (Actor, &Keys),
    policy: &Policy,
) -> Result<()> {
    let options = PinOptions {
        set_age: config.min_age(None)?,
        ..PinOptions::default()
    };
    let candidate = install(cx, policy, options)?;
    let mut agree = |new: &Installation<'_>| {
        let facts = pin_report::text(new.package, new.report, new.before);
        if !actor.is_asked() {
            print::text(&facts);
            return Ok(());
        }
        let text = question::question(&cx.dirs, new.next, new.resolved, new.keys);
        ask::type_name(&format!("\n{facts}{text}"), new.next.server.as_str())
    };
    let done = pin::finish(
        &cx.dirs,
        policy,
        candidate,
        options,
        (actor, keys),
        &mut agree,
    )?;
    let (Pinned::Already(package) | Pinned::Repaired(package) | Pinned::New { package, .. }) = done;
    print::line(&format!("pinned: {}, {package}", policy.server));
    granted(policy);
    Ok(())
}

fn install(cx: &Context, policy: &Policy, options: PinOptions<'_>) -> Result<PinCandidate> {
    let interrupts = Interrupts::collect();
    let all = std::slice::from_ref(policy);
    let mut installing = Installing::new(all);
    let mut found = None;
    pin_several::install_all(&cx.dirs, all, options, &mut |event| {
        match event {
            PinEvent::Tick(progress) => installing.tick(progress),
            PinEvent::Done(at, result) => {
                installing.done(at);
                found = result;
            }
        }
        let stop: ControlFlow<()> = stop_if(interrupts.any());
        stop
    });
    drop(installing);
    if interrupts.any() {
        return Err(Error::new(
            Code::Declined,
            "interrupted: nothing was pinned",
        ));
    }
    found.unwrap_or_else(|| {
        let what = format!("cannot pin server `{}`", policy.server);
        Err(Error::new(Code::PackageFailed, what).cause("its registry did not answer"))
    })
}
