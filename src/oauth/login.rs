//! A login: what is asked of whom is planned and shown first, then carried out.
//!
//! Invariants: a plan sends nothing but questions for public documents. Only what was approved is
//! carried out.

use std::sync::mpsc::Receiver;

use super::answer::{CallbackAnswer, ExpectedAnswer};
use super::approval::{self, LoginTerms};
use super::attempt::{AuthorizeRequest, LoginAttempt};
use super::callback::{self, Callback, LOGIN_LIMIT};
use super::client::{AuthMethod, ClientCredentials, ClientSource, OAuthClient, method_of};
use super::discovery::Discovery;
use super::endpoint::IssuerAccess;
use super::exchange::Exchange;
use super::index::OAuthIndex;
use super::item::TokenItem;
use super::page::WaitingPage;
use super::place::TokenPlace;
use super::registration::{self, is_unknown_client};
use super::registry;
use super::renewal::{self, LOCK_LIMIT, login_id, unix_now};
use super::scope::{OFFLINE, ScopeSet};
use super::token_answer::{GrantedToken, TokenFault};
use crate::error::{Code, Error, Result};
use crate::policy::KnownIssuer;
use crate::secret::Keys;

/// What a login will ask for.
#[derive(Clone, Debug)]
pub struct LoginPlan {
    /// What the user approves.
    pub terms: LoginTerms,
    /// Whether that was approved before.
    pub is_approved: bool,
    discovery: Discovery,
    /// `None`: mcpwrap registers itself.
    client: Option<OAuthClient>,
    credentials: ClientCredentials,
    is_fresh: bool,
}

/// The user's side of a login.
pub struct LoginBrowser<'a> {
    /// Shows an address and opens it.
    pub show: &'a mut dyn FnMut(&str),
    /// What the user pastes in place of the browser's answer; `None` ends the login.
    pub pasted: &'a Receiver<Option<String>>,
    /// Says why a pasted line is not the answer.
    pub wrong: &'a mut dyn FnMut(&str),
}

impl std::fmt::Debug for LoginBrowser<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginBrowser")
    }
}

/// Finds out what a login asks for. `is_fresh`: forget the registration and the approval.
///
/// # Errors
/// `oauth-failed`, `oauth-unreachable`, `policy-invalid`; those of the store and of the grant.
pub fn plan(
    place: &TokenPlace<'_>,
    keys: &Keys,
    exchange: &dyn Exchange,
    is_fresh: bool,
) -> Result<LoginPlan> {
    let credentials = place.credentials(keys)?;
    let discovery = place.discover(exchange)?;
    let client = client(place, &discovery, &credentials)?;
    if client.is_none() {
        registration::address(&discovery.issuer)?;
    }
    // What cannot be used is refused before the user is asked.
    discovery.issuer.endpoints()?;
    if !place.is_for_client() {
        discovery.issuer.authorization()?;
    }
    let redirect = callback::form(place.rules.redirect.as_deref());
    let redirect = (!place.is_for_client()).then_some(redirect);
    let terms = LoginTerms {
        url: place.url().to_owned(),
        issuer: discovery.issuer.issuer.clone(),
        client_id: client.as_ref().map(|client| client.id.clone()),
        resource: discovery.resource.clone(),
        scope: scope(place, &discovery)?,
        redirect,
    };
    let is_approved = !is_fresh && approval::is_approved(place.dirs, keys, &place.name()?, &terms);
    Ok(LoginPlan {
        terms,
        is_approved,
        discovery,
        client,
        credentials,
        is_fresh,
    })
}

/// The client: that of the policy, or the public document, or none yet.
fn client(
    place: &TokenPlace<'_>,
    discovery: &Discovery,
    credentials: &ClientCredentials,
) -> Result<Option<OAuthClient>> {
    let rules = place.rules;
    if rules.client_id.is_some() || place.is_for_client() {
        let method = method_of(&discovery.issuer, credentials)?;
        return renewal::own_client(place, method).map(Some);
    }
    let document = rules.client_metadata_url.as_ref();
    let takes_it = discovery.issuer.client_id_metadata_document_supported == Some(true);
    Ok(document.filter(|_| takes_it).map(|url| OAuthClient {
        id: url.clone(),
        source: ClientSource::Document,
        method: AuthMethod::None,
        secret: None,
    }))
}

/// Those of the policy; else what the challenge or the resource says, with what the server asked for
/// since the last login.
fn scope(place: &TokenPlace<'_>, discovery: &Discovery) -> Result<ScopeSet> {
    let wants_offline = !place.is_for_client() && discovery.issuer.supports_scope(OFFLINE);
    if !place.rules.scopes.is_empty() {
        let mut scope = ScopeSet::of(&place.rules.scopes);
        // Without a refresh token, a local server would end with its first token.
        if place.is_of_mint() && wants_offline {
            scope.add(OFFLINE);
        }
        return Ok(scope);
    }
    let challenged = discovery
        .challenged
        .clone()
        .filter(|scope| !scope.is_empty());
    let mut scope = challenged
        .or_else(|| discovery.supported.clone())
        .unwrap_or_default();
    let index = OAuthIndex::load(place.dirs)?;
    if let Some(row) = index.tokens.get(&place.name()?)
        && !row.wanted.is_empty()
        && row.issuer == discovery.issuer.issuer
    {
        scope = row.scope.clone().union(&row.wanted).union(&scope);
    }
    if !scope.is_empty() && wants_offline {
        scope.add(OFFLINE);
    }
    Ok(scope)
}

/// Carries out a plan that was approved. The tokens are stored when it returns.
///
/// # Errors
/// `oauth-failed`, `oauth-unreachable`; those of the store.
pub fn carry_out(
    place: &TokenPlace<'_>,
    keys: &Keys,
    exchange: &dyn Exchange,
    plan: &LoginPlan,
    browser: &mut LoginBrowser<'_>,
) -> Result<TokenItem> {
    if place.is_for_client() {
        let mut item = renewal::obtain(place, keys, exchange, unix_now())?;
        return keep(place, &mut item).map(|()| item);
    }
    let login = Login {
        place,
        exchange,
        plan,
    };
    match login.attempt(plan.is_fresh, browser) {
        Err(fault) if login.is_forgotten(&fault) => {
            // The issuer does not know the registration anymore: once more, with a new one.
            login.attempt(true, browser).map_err(|fault| *fault.error)
        }
        done => done.map_err(|fault| *fault.error),
    }
}

struct Login<'a> {
    place: &'a TokenPlace<'a>,
    exchange: &'a dyn Exchange,
    plan: &'a LoginPlan,
}

impl Login<'_> {
    fn is_forgotten(&self, fault: &TokenFault) -> bool {
        self.plan.client.is_none() && is_unknown_client(fault.code.as_deref())
    }

    fn attempt(
        &self,
        is_fresh: bool,
        browser: &mut LoginBrowser<'_>,
    ) -> Result<TokenItem, TokenFault> {
        let issuer = &self.plan.discovery.issuer;
        let endpoint = issuer.authorization()?;
        let (callback, client) = self.client(is_fresh)?;
        let redirect = callback.redirect().to_owned();
        let attempt = LoginAttempt::new()?;
        let known = KnownIssuer::of_issuer(&issuer.issuer);
        let request = AuthorizeRequest {
            client_id: &client.id,
            redirect: &redirect,
            scope: &self.plan.terms.scope,
            resource: self.plan.discovery.resource.as_deref(),
            parameters: known.map_or(&[], |known| known.parameters),
        };
        let expected = ExpectedAnswer {
            state: attempt.state.clone(),
            issuer: issuer.issuer.clone(),
            must_name_issuer: issuer.returns_issuer(),
        };
        (browser.show)(&attempt.address(&endpoint, request));
        let (answer, page) =
            callback.wait(&expected, LOGIN_LIMIT, browser.pasted, browser.wrong)?;
        let done = self.finish(answer, &client, attempt.verifier.as_str(), &redirect);
        self.show(page, &done);
        done
    }

    /// A listener, and the client that is registered for its address.
    fn client(&self, is_fresh: bool) -> Result<(Callback, OAuthClient)> {
        let place = self.place;
        let fixed = place.rules.redirect.as_deref();
        if let Some(client) = &self.plan.client {
            return Ok((Callback::bind(fixed, None)?, client.clone()));
        }
        let issuer = &self.plan.discovery.issuer;
        let (form, scope) = (callback::form(fixed), &self.plan.terms.scope);
        let known = if is_fresh {
            None
        } else {
            registry::find(place, &issuer.issuer, &form)?
        };
        let known = known.filter(|known| known.serves(&issuer.issuer, scope, unix_now()));
        // Many servers compare the port, too.
        let callback = Callback::bind(fixed, known.as_ref().map(|known| known.redirect.as_str()))?;
        if let Some(known) = known.filter(|known| known.redirect == callback.redirect()) {
            return Ok((callback, known.client));
        }
        let reach = self.plan.discovery.reach;
        let registered =
            registration::register(self.exchange, issuer, reach, callback.redirect(), scope)?;
        registry::keep(place, &form, &registered)?;
        Ok((callback, registered.client))
    }

    fn finish(
        &self,
        answer: CallbackAnswer,
        client: &OAuthClient,
        verifier: &str,
        redirect: &str,
    ) -> Result<TokenItem, TokenFault> {
        let failed = || {
            Error::new(
                Code::OAuthFailed,
                format!("cannot log in for {}", self.place.owner().shown()),
            )
        };
        let code = match answer {
            CallbackAnswer::Code(code) => code,
            CallbackAnswer::WrongIssuer => {
                let issuer = &self.plan.terms.issuer;
                return Err(failed()
                    .cause(format!("the answer does not come from `{issuer}`"))
                    .hint("if you did not begin another login at the same time, someone may try to get your code")
                    .into());
            }
            CallbackAnswer::Refused { code, text } => {
                let text = if text.is_empty() {
                    text
                } else {
                    format!(": {text}")
                };
                let error = failed()
                    .cause(format!("the authorization server says `{code}`{text}"))
                    .hint(format!(
                        "to try again, run `{}`",
                        self.place.owner().login_command()
                    ));
                return Err(TokenFault {
                    error: Box::new(error),
                    code: Some(code),
                });
            }
        };
        let discovery = &self.plan.discovery;
        let endpoints = discovery.issuer.endpoints()?;
        let access = IssuerAccess {
            exchange: self.exchange,
            issuer: &discovery.issuer.issuer,
            endpoints: &endpoints,
            reach: discovery.reach,
            client,
            credentials: &self.plan.credentials,
            now: unix_now(),
        };
        let resource = discovery.resource.as_deref();
        let granted = access.redeem(code.as_str(), verifier, redirect, resource)?;
        let mut item = TokenItem {
            endpoints,
            ..self.item(client, granted)?
        };
        keep(self.place, &mut item)?;
        Ok(item)
    }

    fn item(&self, client: &OAuthClient, granted: GrantedToken) -> Result<TokenItem> {
        let discovery = &self.plan.discovery;
        let now = unix_now();
        Ok(TokenItem {
            version: TokenItem::VERSION,
            url: self.plan.terms.url.clone(),
            issuer: discovery.issuer.issuer.clone(),
            resource: discovery.resource.clone(),
            client: client.clone(),
            endpoints: discovery.issuer.endpoints()?,
            reach: discovery.reach,
            access: granted.access,
            refresh: granted.refresh,
            scope: granted
                .scope
                .unwrap_or_else(|| self.plan.terms.scope.clone()),
            obtained_at: now,
            expires_at: granted.life.map(|life| now.saturating_add(life)),
            generation: 0,
            subject: granted.subject,
            login: login_id()?,
            refreshing: None,
        })
    }

    /// Says in the browser what came of it.
    fn show(&self, page: Option<WaitingPage>, done: &Result<TokenItem, TokenFault>) {
        let Some(page) = page else { return };
        let server = &self.place.policy.server;
        let issuer = &self.plan.terms.issuer;
        match done {
            Ok(item) => {
                let may = if item.scope.is_empty() {
                    "The authorization server did not say what the token allows.".to_owned()
                } else {
                    format!("The token allows: {}", item.scope)
                };
                let paragraphs = [
                    format!(
                        "{issuer} gave mcpwrap a token for the server “{server}” ({}).",
                        self.place.url()
                    ),
                    may,
                    format!(
                        "mcpwrap keeps it in your secret store. To take it back: mcpwrap logout {server}"
                    ),
                    "You can close this page.".to_owned(),
                ];
                page.show("200 OK", "You are logged in", &paragraphs);
            }
            Err(fault) if self.is_forgotten(fault) => {
                let text = "mcpwrap registers again, and another page opens.".to_owned();
                page.show("200 OK", "Once more", &[text]);
            }
            Err(TokenFault { error, .. }) => {
                let text = format!(
                    "Nothing was granted to the server “{server}”: {}.",
                    error.reasons()
                );
                page.show("200 OK", "Not logged in", &[text]);
            }
        }
    }
}

/// Stores the tokens of a login, under the lock that a refresh holds.
fn keep(place: &TokenPlace<'_>, item: &mut TokenItem) -> Result<()> {
    let lock = place.lock(LOCK_LIMIT)?;
    let known = place.item()?.map_or(0, |item| item.generation);
    item.generation = place.next_generation(known);
    renewal::set_aside_other(place, item)?;
    place.keep(item)?;
    drop(lock);
    Ok(())
}
