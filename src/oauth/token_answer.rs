//! Reads the answers of a token endpoint (RFC 6749, 5.1 and 5.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::discovery::has_fault;
use super::exchange::ExchangeAnswer;
use super::scope::ScopeSet;
use crate::bridge::channel::SecretText;
use crate::error::{Code, Error, printable};

/// A token is not longer (bytes): it has to fit into a header and a frame.
const TOKEN_MAX: usize = 24 * 1024;
/// More of a server's explanation is not shown (characters).
const SAID_MAX: usize = 200;
/// A life that is longer is not believed (seconds).
const LIFE_MAX: f64 = 10.0 * 365.0 * 86_400.0;

/// What was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedToken {
    pub access: SecretText,
    pub refresh: Option<SecretText>,
    /// If it differs from what was asked.
    pub scope: Option<ScopeSet>,
    /// How long it is valid (seconds); `None` if unknown.
    pub life: Option<i64>,
    /// The user, if the answer has an ID token.
    pub subject: Option<String>,
}

/// Why nothing was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFault {
    pub error: Box<Error>,
    /// The error code of the authorization server.
    pub code: Option<String>,
}

impl From<Error> for TokenFault {
    fn from(error: Error) -> Self {
        Self {
            error: Box::new(error),
            code: None,
        }
    }
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretText,
    token_type: Option<String>,
    expires_in: Option<Value>,
    refresh_token: Option<SecretText>,
    scope: Option<String>,
    id_token: Option<SecretText>,
}

/// What helps if the policy is right.
const TELL: &str = "if it happens again, tell the operator of the authorization server";

/// Reads an answer. `what` was not done if it is a refusal; `sent`: the secrets of the request, which
/// a message must not repeat.
///
/// # Errors
/// `oauth-unreachable` for a fault of the other side, else `oauth-failed`.
pub fn read(
    answer: &ExchangeAnswer,
    authority: &str,
    what: &str,
    sent: &[&str],
) -> Result<GrantedToken, TokenFault> {
    let failed = |cause: String, hint| Error::new(Code::OAuthFailed, what).cause(cause).hint(hint);
    let broken = |cause| failed(cause, TELL);
    if answer.status == 429 || answer.status >= 500 {
        return Err(has_fault(authority, answer).context(what).into());
    }
    if let Some(code) = code_of(answer) {
        let hint = match code.as_str() {
            "invalid_client" => "check the ID of the client in the policy, and its secret or key",
            "invalid_scope" => "check `scopes` below `[oauth]` or `[mint.NAME]` in the policy",
            "invalid_target" => "check `resource` below `[oauth]` or `[mint.NAME]` in the policy",
            _ => TELL,
        };
        return Err(TokenFault {
            error: Box::new(failed(said(answer, sent), hint)),
            code: Some(code),
        });
    }
    if !answer.is_success() {
        return Err(broken(said(answer, sent)).into());
    }
    let body: TokenBody = serde_json::from_str(answer.body.as_str())
        .map_err(|_| broken(format!("the answer of `{authority}` has no token")))?;
    let kind = body.token_type.unwrap_or_else(|| "bearer".to_owned());
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(broken(format!(
            "`{authority}` grants tokens of another type than `Bearer`"
        ))
        .into());
    }
    let is_token = |token: &SecretText| {
        let text = token.as_str();
        !text.is_empty()
            && text.len() <= TOKEN_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !is_token(&body.access_token) {
        return Err(broken(format!(
            "the token of `{authority}` cannot stand in a header"
        ))
        .into());
    }
    let life = body.expires_in.as_ref().and_then(seconds);
    Ok(GrantedToken {
        access: body.access_token,
        refresh: body
            .refresh_token
            .filter(|token| !token.as_str().is_empty()),
        scope: body.scope.as_deref().map(ScopeSet::parse),
        life,
        subject: body.id_token.as_ref().and_then(subject),
    })
}

/// Some servers write the number as a string.
fn seconds(value: &Value) -> Option<i64> {
    let number = value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())?;
    #[expect(clippy::cast_possible_truncation, reason = "within the limits")]
    (number.is_finite() && number >= 0.0).then(|| number.min(LIFE_MAX) as i64)
}

/// The user that an ID token names. It came from the issuer itself over TLS, so its signature proves
/// nothing more (`OpenID` Connect Core, 3.1.3.7).
fn subject(token: &SecretText) -> Option<String> {
    let claims = token.as_str().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let subject = claims.get("sub")?.as_str()?;
    Some(subject.chars().take(256).collect())
}

/// The error code in an answer.
pub fn code_of(answer: &ExchangeAnswer) -> Option<String> {
    let body: Value = serde_json::from_str(answer.body.as_str()).ok()?;
    let code = body.get("error")?.as_str()?;
    let is_code = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_graphic());
    (is_code && !code.is_empty()).then(|| code.to_owned())
}

/// A refusal in the words of the other side, bounded, without what was sent.
pub fn said(answer: &ExchangeAnswer, sent: &[&str]) -> String {
    let body: Value = serde_json::from_str(answer.body.as_str()).unwrap_or_default();
    let text = body.get("error_description").and_then(Value::as_str);
    let repeats = |text: &str| {
        sent.iter()
            .any(|secret| !secret.is_empty() && text.contains(secret))
    };
    let text = text.filter(|text| !repeats(text)).map(|text| {
        let short: String = text.chars().take(SAID_MAX).collect();
        format!(": {}", printable(&short.replace(['\n', '\r'], " ")))
    });
    let code = code_of(answer).filter(|code| !repeats(code));
    let code = code.map_or_else(
        || format!("HTTP status {}", answer.status),
        |code| format!("`{code}`"),
    );
    format!(
        "the authorization server says {code}{}",
        text.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> ExchangeAnswer {
        ExchangeAnswer {
            status,
            headers: Vec::new(),
            body: SecretText::new(body.to_owned()),
            whereabouts: None,
        }
    }

    fn run(status: u16, body: &str) -> Result<GrantedToken, TokenFault> {
        read(
            &answer(status, body),
            "as.example",
            "cannot refresh",
            &["rt-1"],
        )
    }

    #[test]
    fn lives_are_numbers_or_texts_or_unknown() {
        for (text, life) in [
            ("3600", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("3.9", Some(3)),
            ("0", Some(0)),
            ("null", None),
            ("-1", None),
            ("\"soon\"", None),
            ("1e300", Some(315_360_000)),
        ] {
            let body =
                format!(r#"{{"access_token": "a", "token_type": "bearer", "expires_in": {text}}}"#);
            assert_eq!(run(200, &body).unwrap().life, life, "{text}");
        }
        assert_eq!(run(200, r#"{"access_token": "a"}"#).unwrap().life, None);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"access_token": ""}"#,
            r#"{"access_token": "a\r\nX: y"}"#,
            r#"{"access_token": "a", "token_type": "DPoP"}"#,
        ] {
            assert_eq!(
                run(200, body).unwrap_err().error.code,
                Code::OAuthFailed,
                "{body}"
            );
        }
        let long = format!(r#"{{"access_token": "{}"}}"#, "x".repeat(TOKEN_MAX + 1));
        assert!(run(200, &long).is_err());
    }

    #[test]
    fn refusals_have_a_code_and_repeat_no_secret() {
        let body = r#"{"error": "invalid_grant", "error_description": "unknown token rt-1"}"#;
        let fault = run(400, body).unwrap_err();
        assert_eq!(fault.code.as_deref(), Some("invalid_grant"));
        let text = fault.error.to_string();
        assert!(
            text.contains("invalid_grant") && !text.contains("rt-1"),
            "{text}"
        );
        // Slack and GitHub answer 200.
        let fault = run(200, r#"{"error": "bad_refresh_token"}"#).unwrap_err();
        assert_eq!(fault.code.as_deref(), Some("bad_refresh_token"));
        let fault = run(
            400,
            &format!(
                r#"{{"error": "x", "error_description": "a\n\u001b[31m{}"}}"#,
                "y".repeat(999)
            ),
        );
        assert!(fault.unwrap_err().error.to_string().len() < 400);
        for status in [500, 503, 429] {
            assert_eq!(
                run(status, body).unwrap_err().error.code,
                Code::OAuthUnreachable
            );
        }
    }

    #[test]
    fn an_id_token_names_the_user() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub": "ana"}"#);
        let body = format!(r#"{{"access_token": "a", "id_token": "x.{claims}.y"}}"#);
        assert_eq!(run(200, &body).unwrap().subject.as_deref(), Some("ana"));
        assert_eq!(
            run(200, r#"{"access_token": "a", "id_token": "x"}"#)
                .unwrap()
                .subject,
            None
        );
    }
}
