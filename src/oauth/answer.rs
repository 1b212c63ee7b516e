//! Judges the answer of an authorization server that the browser brings back.

use percent_encoding::percent_decode_str;

use crate::bridge::channel::SecretText;
use crate::error::printable;

/// What the answer of this login must have.
#[derive(Debug)]
pub struct ExpectedAnswer {
    pub state: SecretText,
    /// Byte for byte as in the metadata.
    pub issuer: String,
    /// Whether the issuer announced that it names itself.
    pub must_name_issuer: bool,
}

/// An answer to this login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackAnswer {
    Code(SecretText),
    /// The error code and its explanation, printable.
    Refused {
        code: String,
        text: String,
    },
    /// From another issuer, or it does not say from which: nothing of it is shown.
    WrongIssuer,
}

/// Judges the query of a redirect.
///
/// # Errors
/// Why it is not the answer to this login: the real one may still come.
pub fn judge(expected: &ExpectedAnswer, query: &str) -> Result<CallbackAnswer, &'static str> {
    let fields = fields(query)?;
    let field = |name: &str| {
        let mut found = fields.iter().filter(|(known, _)| known == name);
        let first = found.next().map(|(_, value)| value.as_str());
        // Two of them: no telling which one another program would take.
        if found.next().is_some() {
            Err("a parameter is there twice")
        } else {
            Ok(first)
        }
    };
    if !field("state")?.is_some_and(|state| is_same(state, expected.state.as_str())) {
        return Err("its `state` is not that of this login");
    }
    match field("iss")? {
        Some(issuer) if issuer != expected.issuer => return Ok(CallbackAnswer::WrongIssuer),
        None if expected.must_name_issuer => return Ok(CallbackAnswer::WrongIssuer),
        _ => {}
    }
    if let Some(code) = field("error")? {
        let short = |text: &str, limit| {
            printable(&text.chars().take(limit).collect::<String>()).replace('\n', " ")
        };
        return Ok(CallbackAnswer::Refused {
            code: short(code, 64),
            text: short(field("error_description")?.unwrap_or_default(), 200),
        });
    }
    match field("code")? {
        Some(code) if !code.is_empty() => {
            Ok(CallbackAnswer::Code(SecretText::new(code.to_owned())))
        }
        _ => Err("it has neither `code` nor `error`"),
    }
}

fn fields(query: &str) -> Result<Vec<(String, String)>, &'static str> {
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let bytes = percent_decode_str(&text).decode_utf8();
        bytes
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| "it is not UTF-8")
    };
    let parts = query.split('&').filter(|part| !part.is_empty());
    let field = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decode(name)?, decode(value)?))
    };
    parts.map(field).collect()
}

/// In constant time.
fn is_same(a: &str, b: &str) -> bool {
    let differs = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(must_name_issuer: bool, query: &str) -> Result<CallbackAnswer, &'static str> {
        let expected = ExpectedAnswer {
            state: SecretText::new("st-1".into()),
            issuer: "https://as.example".into(),
            must_name_issuer,
        };
        judge(&expected, query)
    }

    fn code(text: &str) -> CallbackAnswer {
        CallbackAnswer::Code(SecretText::new(text.into()))
    }

    #[test]
    fn the_state_comes_first() {
        for query in [
            "",
            "code=c",
            "code=c&state=",
            "code=c&state=st-2",
            "code=c&state=st-1x",
            "error=access_denied&state=st-2",
            "state=st-1&state=st-1&code=c",
            "state=st-1",
            "state=st-1&code=",
            "state=st-1&code=%ff",
        ] {
            assert!(run(false, query).is_err(), "{query}");
        }
        assert_eq!(run(false, "code=a%2Fb+c&state=st-1"), Ok(code("a/b c")));
    }

    #[test]
    fn the_issuer_is_that_of_the_login() {
        let named = "iss=https%3A%2F%2Fas.example&code=c&state=st-1";
        assert_eq!(run(true, named), Ok(code("c")));
        assert_eq!(run(false, named), Ok(code("c")));
        assert_eq!(run(false, "code=c&state=st-1"), Ok(code("c")));
        for query in ["code=c&state=st-1", "error=x&state=st-1"] {
            assert_eq!(run(true, query), Ok(CallbackAnswer::WrongIssuer), "{query}");
        }
        for iss in [
            "https%3A%2F%2Fas.example%2F",
            "https%3A%2F%2FAS.example",
            "https%3A%2F%2Fevil.example",
            "",
        ] {
            let query = format!("iss={iss}&error=boo&state=st-1");
            assert_eq!(run(false, &query), Ok(CallbackAnswer::WrongIssuer), "{iss}");
        }
    }

    #[test]
    fn refusals_are_printable() {
        let Ok(CallbackAnswer::Refused { code, text }) = run(
            false,
            "error=access_denied&error_description=no%1b%5b31m%0Aevil&state=st-1&code=c",
        ) else {
            panic!()
        };
        assert_eq!(code, "access_denied");
        assert!(!text.contains('\u{1b}') && !text.contains('\n'), "{text}");
    }
}
