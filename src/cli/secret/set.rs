//! `mcpwrap secret set` and `mcpwrap secret rotate`: store a value from the user.
//!
//! Invariants: a stored secret keeps its profile unless another is given, so that a `prod` secret does
//! not become one for every profile. An expiry date belongs to the value and is replaced with it.

use jiff::Timestamp;

use super::input::InputOptions;
use super::looks::looks;
use super::{renewals, servers, with_nearest};
use crate::audit::Event;
use crate::cli::{Context, print};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::expiry::{self, Expiry};
use crate::ops::actor::Actor;
use crate::ops::secrets::{self, SecretChange};
use crate::secret::{ProfileName, Secret, SecretName};
use crate::store::{self, Prompt, SecretItem, Store};

#[derive(Debug, clap::Args)]
pub(super) struct SetArgs {
    /// Name of the secret, e.g. `github/token` or `prod/github/token`
    name: SecretName,
    /// Restrict to runs with this profile
    #[arg(long)]
    profile: Option<ProfileName>,
    #[command(flatten)]
    value: InputOptions,
}

#[derive(Debug, clap::Args)]
pub(super) struct RotateArgs {
    /// Secrets to replace
    #[arg(required = true)]
    name: Vec<SecretName>,
    #[command(flatten)]
    value: InputOptions,
}

pub(super) fn set(args: SetArgs, cx: &Context) -> Result<u8> {
    let work = StoreContext::begin(
        cx,
        Event::SecretSet,
        std::slice::from_ref(&args.name),
        &args.value,
    )?;
    let old = match work.store.get(&args.name) {
        Ok(old) => Some(old),
        Err(error) if error.code == Code::SecretNotFound => None,
        Err(error) => return Err(error),
    };
    if old.is_some() {
        print::note(&format!("`{}` exists and will be replaced", args.name));
    }
    let value = args.value.value(cx, &args.name)?;
    let of_token = end_of(&value, args.value.expires);
    let profile = args.profile.or(old.and_then(|old| old.profile));
    work.keep(
        &args.name,
        SecretItem {
            value,
            profile,
            expires: args.value.expires.or(of_token),
        },
    )
}

pub(super) fn rotate(args: &RotateArgs, cx: &Context) -> Result<u8> {
    if let Some(flag) = args.value.flag().filter(|_| args.name.len() > 1) {
        return Err(
            Error::new(Code::Usage, format!("`{flag}` takes one secret at a time"))
                .hint(format!("run `mcpwrap secret rotate NAME {flag}` for each")),
        );
    }
    let work = StoreContext::begin(cx, Event::SecretRotate, &args.name, &args.value)?;
    let mut code = 0;
    for name in &args.name {
        let old = work
            .store
            .get(name)
            .map_err(|error| with_nearest(cx, name, error))?;
        let value = args.value.value(cx, name)?;
        if value == old.value {
            print::warning(&format!("`{name}` already has this value"));
        }
        let of_token = end_of(&value, args.value.expires);
        let expires = args.value.expires.or(of_token);
        if let (Some(date), None) = (old.expires, expires) {
            print::note(&format!(
                "the old value expires on {date}, the new one never; use `--expires DATE` to set a date"
            ));
        }
        let users = secrets::users(&cx.dirs, name);
        if !users.is_empty() {
            print::note(&format!("`{name}` is used by {}", servers(&users)));
        }
        let item = SecretItem {
            value,
            profile: old.profile,
            expires,
        };
        code = code.max(work.keep(name, item)?);
    }
    Ok(code)
}

/// The end that a token says itself, unless the user said another.
fn end_of(value: &Secret, said: Option<Expiry>) -> Option<Expiry> {
    let end = expiry::of_secret(value).filter(|_| said.is_none())?;
    print::note(&format!("the token says that it ends at {end}"));
    Some(end)
}

/// What both commands do before and after they ask.
struct StoreContext<'a> {
    cx: &'a Context,
    event: Event,
    args: &'a InputOptions,
    actor: Actor,
    store: Box<dyn Store>,
}

impl<'a> StoreContext<'a> {
    /// Opens the store before asking: the user does not type a value that cannot be stored.
    fn begin(
        cx: &'a Context,
        event: Event,
        names: &[SecretName],
        args: &'a InputOptions,
    ) -> Result<Self> {
        let config = Config::load(&cx.dirs)?;
        let wanted: Vec<_> = names.iter().map(|name| (event, name.clone())).collect();
        let flag = args.flag();
        let command = match event {
            Event::SecretRotate => "secret rotate",
            _ => "secret set",
        };
        let actor = secrets::actor(&cx.dirs, &config, command, flag, &wanted)?;
        let store = store::open(&cx.dirs, &config, Prompt::Allowed)?;
        if args
            .expires
            .is_some_and(|end| end.is_over(Timestamp::now()))
        {
            print::warning("the expiry date has passed: no server will start with this value");
        }
        Ok(Self {
            cx,
            event,
            args,
            actor,
            store,
        })
    }

    /// Stores a value, and waits until the running servers have it. Returns the exit code.
    fn keep(&self, name: &SecretName, item: SecretItem) -> Result<u8> {
        let of = item
            .profile
            .as_ref()
            .map_or_else(String::new, |p| format!(", profile {p}"));
        let looks = looks(&item.value);
        let change = SecretChange {
            event: self.event,
            name: name.clone(),
            item,
        };
        let prints = secrets::record_and_store(&self.cx.dirs, &*self.store, self.actor, &[change])?;
        let done = if self.event == Event::SecretRotate {
            "rotated"
        } else {
            "stored"
        };
        let mut code = 0;
        for print in prints {
            print::line(&format!("{done}: {name} (fingerprint {print}{of})"));
            print::note(&format!("its value looks like: {looks}"));
            self.args.forget(self.cx);
            if !self.args.no_wait {
                code = code.max(renewals::wait(self.cx, name, &print));
            }
        }
        Ok(code)
    }
}
