//! Logs in to a remote server, or to the account of a mint: shows what is asked of whom, seals the approval,
//! carries it out.

use super::actor::{Actor, actor};
use crate::audit::{Detail, Event, Log, NewRecord, Outcome};
use crate::config::Config;
use crate::dirs::Dirs;
use crate::error::Result;
use crate::oauth::approval::{self, LoginTerms};
use crate::oauth::health::TokenHealth;
use crate::oauth::index::OAuthIndex;
use crate::oauth::login::{self, LoginBrowser};
use crate::oauth::owner::TokenOwner;
use crate::oauth::place::TokenPlace;
use crate::oauth::scope::{OFFLINE, ScopeSet};
use crate::policy::Policy;
use crate::store::{self, Prompt};
use crate::weak::Weakness;

/// How a login is done.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoginManner {
    /// It registers and asks again.
    pub is_fresh: bool,
    /// A token that is good and of the terms that were approved stays.
    pub keeps_good: bool,
}

/// What was granted.
#[derive(Debug)]
pub struct LoggedIn {
    pub issuer: String,
    pub scope: ScopeSet,
    /// Scopes that the user was not asked for, and got.
    pub more: ScopeSet,
    /// Scopes that were asked for, and not granted.
    pub missing: ScopeSet,
    /// Seconds of Unix time.
    pub expires_at: Option<i64>,
    /// Whether the token is renewed without another login.
    pub is_renewable: bool,
    /// Why it is not masked.
    pub weakness: Option<Weakness>,
}

/// Logs in; `None` if the token stays. `agree` gets what is asked of whom, and whether the
/// user approved that before.
///
/// # Errors
/// `agent-refused`; those of `agree`, of the store and of [`login::plan`] and [`login::carry_out`];
/// `audit-unwritable`.
pub fn login(
    dirs: &Dirs,
    config: &Config,
    (policy, owner): (&Policy, &TokenOwner),
    manner: LoginManner,
    agree: &mut dyn FnMut(&str, bool) -> Result<()>,
    browser: &mut LoginBrowser<'_>,
) -> Result<Option<LoggedIn>> {
    let actor = actor(dirs, config, ("login", None), None, |actor| {
        vec![record((policy, owner), None, Outcome::Refused, *actor)]
    })?;
    let store = store::open(dirs, config, Prompt::Allowed)?;
    let place = TokenPlace::of(dirs, &*store, policy, owner)?;
    let keys = store::keys(&*store)?;
    let exchange = place.exchange(&keys)?;
    let plan = login::plan(&place, &keys, &exchange, manner.is_fresh)?;
    if manner.keeps_good && plan.is_approved && is_good(&place)? {
        return Ok(None);
    }
    agree(&shown(owner, &plan.terms), plan.is_approved)?;
    let log = Log::open(dirs, Some(&keys))?;
    let terms = Some(&plan.terms);
    log.append(&[record((policy, owner), terms, Outcome::Intent, actor)])?;
    approval::approve(dirs, &keys, &place.name()?, &plan.terms)?;
    let done = login::carry_out(&place, &keys, &exchange, &plan, browser);
    let end = match &done {
        Ok(_) => record((policy, owner), terms, Outcome::Ok, actor),
        Err(error) => {
            record((policy, owner), terms, Outcome::Failed, actor).reason(error.code.name())
        }
    };
    log.append(&[end])?;
    let item = done?;
    let asked = &plan.terms.scope;
    // A refresh token is what this scope is for; not every server names it among the granted ones.
    let implied = ScopeSet::of(item.refresh.iter().map(|_| OFFLINE));
    Ok(Some(LoggedIn {
        weakness: item.weakness(),
        issuer: item.issuer,
        // Without scopes in the request, the authorization server chooses.
        more: if asked.is_empty() {
            ScopeSet::default()
        } else {
            item.scope.without(asked)
        },
        missing: asked.without(&item.scope).without(&implied),
        scope: item.scope,
        expires_at: item.expires_at,
        is_renewable: item.refresh.is_some() || place.is_for_client(),
    }))
}

fn record(
    (policy, owner): (&Policy, &TokenOwner),
    terms: Option<&LoginTerms>,
    outcome: Outcome,
    actor: Actor,
) -> NewRecord {
    let detail = Detail {
        host: terms.map(|terms| terms.issuer.clone()),
        note: terms
            .map(|terms| terms.scope.to_string())
            .filter(|scope| !scope.is_empty()),
        ..actor.detail()
    };
    let record = owner.record(Event::Login, outcome);
    record.policy(&policy.digest).detail(detail)
}

/// Whether there is a token of what the policy says now, which goes on by itself.
fn is_good(place: &TokenPlace<'_>) -> Result<bool> {
    let now = jiff::Timestamp::now().as_second();
    let index = OAuthIndex::load(place.dirs)?;
    let row = index.tokens.get(&place.name()?);
    let is_good = row.is_some_and(|row| row.health(now) == TokenHealth::Good);
    Ok(is_good && place.item()?.is_some())
}

/// What the user approves.
fn shown(owner: &TokenOwner, terms: &LoginTerms) -> String {
    let LoginTerms {
        url,
        issuer,
        client_id,
        resource,
        scope,
        redirect,
    } = terms;
    let client = client_id.as_ref().map_or_else(
        || "mcpwrap, which registers itself there".to_owned(),
        |id| format!("{id}, from the policy"),
    );
    let scope = if scope.is_empty() {
        "those that the authorization server chooses".to_owned()
    } else {
        scope.to_string()
    };
    let mut rows = Vec::new();
    if owner.mint.is_none() {
        rows.push(("server", url.clone()));
    }
    rows.extend([
        ("granted by", issuer.clone()),
        ("client", client),
        ("scopes", scope),
    ]);
    rows.extend(
        resource
            .clone()
            .filter(|resource| resource != url)
            .map(|resource| ("resource", resource)),
    );
    rows.extend(redirect.clone().map(|redirect| ("redirect", redirect)));
    let profile = owner.profile.as_ref();
    let profile = profile.map_or_else(String::new, |profile| format!(" (profile `{profile}`)"));
    let what = if owner.mint.is_some() { "for" } else { "to" };
    let mut text = format!("login {what} {}{profile}\n", owner.shown());
    for (name, value) in rows {
        text.extend([format!("  {name:<11}{value}\n")]);
    }
    text
}
