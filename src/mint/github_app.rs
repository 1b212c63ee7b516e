//! Installation tokens of a GitHub App, narrowed to repositories and permissions.
//!
//! Source: GitHub's REST documentation, "Apps" (version 2022-11-28). A token lives for one hour. It is
//! withdrawn with itself, so it is its own handle.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};
use ureq::http::{Method, Request};
use zeroize::Zeroizing;

use super::clock::ANSWER_LIMIT;
use crate::error::{CauseKind, Code, Error, Result};
use crate::files::io_text;
use crate::host;
use crate::https::{self, RouteFault, WebRoute};
use crate::jwt;
use crate::policy::GithubApp;
use crate::secret::Secret;
use crate::store::source::{MintHandle, MintIssuer, MintLife, Minted, StoreNetwork};

/// The longest answer (bytes): a token with 500 repositories.
const BODY_BYTES_MAX: u64 = 4 << 20;
/// The clocks of both sides may differ by this much (seconds).
const SKEW: i64 = 60;
/// GitHub refuses statements that are valid for more than ten minutes (seconds).
const STATEMENT_LIFE: i64 = 540;

/// See the module.
#[derive(Debug)]
pub(super) struct GithubMinter {
    api: String,
    host: String,
    route: WebRoute,
}

/// An answer of the API.
struct ApiAnswer {
    status: u16,
    /// When GitHub sent it: seconds of Unix time.
    date: Option<i64>,
    body: Value,
}

impl GithubMinter {
    /// # Errors
    /// `policy-invalid` if the address has no host.
    pub(super) fn new(api: &str, network: &StoreNetwork) -> Result<Self> {
        let host = host::of_url(api)
            .ok_or_else(|| Error::new(Code::PolicyInvalid, "the address of GitHub has no host"))?;
        Ok(Self {
            api: api.to_owned(),
            host: host.to_owned(),
            route: network.route.clone(),
        })
    }

    /// Makes a token. `key`: the private key of the App in PEM.
    ///
    /// # Errors
    /// `secret-unusable` for the key; `mint-refused`, `store-denied`, `store-throttled`, `store-unavailable`.
    pub(super) fn mint(&self, app: &GithubApp, key: &Secret, deadline: Instant) -> Result<Minted> {
        let now = Timestamp::now().as_second();
        let claims = json!({"iss": app.app, "iat": now - SKEW, "exp": now + STATEMENT_LIFE});
        let statement = jwt::sign(key.expose(), &claims).map_err(|_| {
            let what = format!("cannot use the key of GitHub App `{}`", app.app);
            Error::new(Code::SecretUnusable, what)
                .cause("expected an RSA key in PEM, as GitHub gives it")
                .hint(format!("store it with `mcpwrap secret set {}`", app.key))
        })?;
        let installation = self.installation(app, &statement, deadline)?;
        let path = format!("/app/installations/{installation}/access_tokens");
        let wanted = json!({"repositories": app.repositories, "permissions": app.permissions});
        let answer = self.ask(Method::POST, &path, &statement, Some(&wanted), deadline)?;
        if answer.status != 201 {
            return Err(self.refused(app, &answer, now));
        }
        self.minted(app, &answer)
    }

    /// The number of an installation, which can be named by its owner.
    fn installation(&self, app: &GithubApp, statement: &str, deadline: Instant) -> Result<u64> {
        let name = &app.installation;
        if let Ok(number) = name.parse() {
            return Ok(number);
        }
        for kind in ["orgs", "users"] {
            let path = format!("/{kind}/{name}/installation");
            let answer = self.ask(Method::GET, &path, statement, None, deadline)?;
            match (answer.status, answer.body.get("id").and_then(Value::as_u64)) {
                (200, Some(id)) => return Ok(id),
                (404, _) => {}
                _ => return Err(self.refused(app, &answer, Timestamp::now().as_second())),
            }
        }
        Err(self
            .error(app)
            .cause(format!("it is not installed for `{name}`"))
            .hint("install the App there, or fix `installation` in the policy"))
    }

    fn minted(&self, app: &GithubApp, answer: &ApiAnswer) -> Result<Minted> {
        let text = |field: &str| answer.body.get(field).and_then(Value::as_str);
        let odd = || {
            self.error(app)
                .cause("its answer has no token")
                .hint("correct `api` in the policy, if it is not GitHub's")
        };
        let token = text("token")
            .filter(|token| !token.is_empty())
            .ok_or_else(odd)?;
        let ends = text("expires_at").and_then(|text| text.parse::<Timestamp>().ok());
        // By its own clock, in case ours is wrong. It says whole seconds: one more may have passed.
        let date = answer.date.unwrap_or_else(|| Timestamp::now().as_second());
        let sent = date + 1;
        let seconds = ends.map(|ends| u64::try_from(ends.as_second() - sent).unwrap_or(0));
        let mut granted = Vec::new();
        let permissions = answer.body.get("permissions").and_then(Value::as_object);
        for (name, level) in permissions.into_iter().flatten() {
            granted.push((name.clone(), level.as_str().unwrap_or("?").to_owned()));
        }
        let selection = text("repository_selection").unwrap_or("?");
        granted.push(("repositories".to_owned(), selection.to_owned()));
        // What GitHub gives must not be more than what the user approved.
        let wider = granted.iter().any(|(name, level)| {
            name != "repositories" && name != "metadata" && app.permissions.get(name) != Some(level)
        });
        let token = Secret::new(token.as_bytes().to_vec());
        if wider || selection != "selected" {
            let handle = MintHandle(token);
            let end = match self.revoke(&handle, Instant::now() + ANSWER_LIMIT) {
                Ok(()) => "it was withdrawn",
                Err(_) => "it could not be withdrawn, and ends by itself",
            };
            let cause = format!("the token has more than the policy allows; {end}");
            return Err(self.error(app).cause(cause).hint(
                "write all permissions of the token into `permissions` in the policy, and `repositories`",
            ));
        }
        Ok(Minted {
            fields: BTreeMap::from([("value".to_owned(), token.clone())]),
            life: MintLife {
                seconds,
                is_extendable: false,
            },
            handle: Some(MintHandle(token)),
            granted,
        })
    }

    fn ask(
        &self,
        method: Method,
        path: &str,
        bearer: &str,
        body: Option<&Value>,
        deadline: Instant,
    ) -> Result<ApiAnswer> {
        let failed = |why: String| {
            Error::new(
                Code::StoreUnavailable,
                format!("cannot reach `{}`", self.host),
            )
            .of_store(&self.host)
            .cause_of(CauseKind::Unreachable, why)
            .hint("check the network, or run `mcpwrap config network` for a proxy")
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let name = self.host.split(':').next().unwrap_or_default();
        let looks_up = host::literal(name).is_none();
        let agent = if self.api.starts_with("http://") {
            https::plain_agent(left, looks_up)
        } else {
            https::agent(&self.route, left, looks_up)
        };
        let agent = agent.map_err(|fault| {
            failed(match fault {
                RouteFault::Lookup => {
                    "an `LD_` variable is set, and mcpwrap could not start again without it"
                        .to_owned()
                }
                RouteFault::Proxy => "the approved proxy is not a URL".to_owned(),
                RouteFault::Authorities(why) => why,
            })
        })?;
        let bearer = Zeroizing::new(format!("Bearer {bearer}"));
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.api))
            .header("authorization", bearer.as_str())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        let text = body.map(Value::to_string).unwrap_or_default();
        let request = request
            .body(text)
            .map_err(|_| failed("the request is not valid".to_owned()))?;
        let sent = if body.is_some() {
            agent.run(request)
        } else {
            agent.run(request.map(|_| ()))
        };
        let mut answer = sent.map_err(|error| {
            failed(match error {
                ureq::Error::Io(error) => io_text(&error),
                ureq::Error::Timeout(_) => "no answer in time".to_owned(),
                error => error.to_string(),
            })
        })?;
        let date = answer
            .headers()
            .get("date")
            .and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(BODY_BYTES_MAX)
            .read_to_vec();
        let text = Zeroizing::new(text.unwrap_or_default());
        Ok(ApiAnswer {
            status,
            date: date.map(|date| date.timestamp().as_second()),
            body: serde_json::from_slice(&text).unwrap_or(Value::Null),
        })
    }

    fn error(&self, app: &GithubApp) -> Error {
        let what = format!("`{}` gave no token of GitHub App `{}`", self.host, app.app);
        Error::new(Code::MintRefused, what).of_store(&self.host)
    }

    /// What a refusal means. The texts of GitHub are not repeated.
    fn refused(&self, app: &GithubApp, answer: &ApiAnswer, now: i64) -> Error {
        let mut error = self.error(app);
        let skew = answer
            .date
            .map(|date| date - now)
            .filter(|skew| skew.abs() > SKEW);
        match (answer.status, skew) {
            (401, Some(skew)) => {
                error.code = Code::StoreDenied;
                error
                    .cause(format!("this machine's clock is {skew} s off"))
                    .hint("set the clock")
            }
            (401, None) => {
                error.code = Code::StoreDenied;
                error
                    .cause("the key does not belong to the App, or was deleted")
                    .hint(format!(
                        "create a key in the settings of the App, then run `mcpwrap secret rotate {}`",
                        app.key
                    ))
            }
            (status @ (403 | 429), _) => {
                error.code = Code::StoreThrottled;
                error
                    .cause(format!(
                        "the App is suspended, or asked too often (status {status})"
                    ))
                    .hint("see whether the owner of the installation suspended the App; else wait")
            }
            (404, _) => error
                .cause("it has no such installation")
                .hint("fix `app` and `installation` in the policy"),
            (422, _) => error
                .cause("the installation has not these repositories or permissions")
                .hint("change the installation, or `repositories` and `permissions` in the policy"),
            (500.., _) => {
                error.code = Code::StoreUnavailable;
                error
                    .cause(format!("it answered with status {}", answer.status))
                    .hint(
                        "try again later; https://www.githubstatus.com says whether GitHub is down",
                    )
            }
            (status, _) => error
                .cause(format!("it answered with status {status}"))
                .hint("correct `api` in the policy, if it is not GitHub's"),
        }
    }
}

impl MintIssuer for GithubMinter {
    fn extend(&self, _: &MintHandle, _: Instant) -> Result<Option<MintLife>> {
        Ok(None)
    }

    fn revoke(&self, handle: &MintHandle, deadline: Instant) -> Result<()> {
        let token = Zeroizing::new(String::from_utf8_lossy(handle.0.expose()).into_owned());
        let answer = self.ask(
            Method::DELETE,
            "/installation/token",
            &token,
            None,
            deadline,
        )?;
        match answer.status {
            // 401 and 404: it is no longer valid.
            204 | 401 | 404 => Ok(()),
            status => Err(
                Error::new(Code::StoreUnavailable, "cannot withdraw the token")
                    .of_store(&self.host)
                    .cause(format!("`{}` answered with status {status}", self.host)),
            ),
        }
    }
}
