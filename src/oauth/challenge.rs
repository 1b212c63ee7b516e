//! Reads `WWW-Authenticate`: what a server that refused a request says about authorization.
//!
//! Several header lines, several challenges per line, commas inside quoted strings (RFC 9110, 11.6.1).
//! What cannot be parsed is skipped: a wrong header must not prevent a login that needs none.

use super::scope::ScopeSet;

/// More of it is ignored (bytes per line, and lines).
const LINE_MAX: usize = 8 * 1024;
const LINES_MAX: usize = 16;

/// What the `Bearer` challenges say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BearerChallenge {
    /// The address of the resource metadata, as written: perhaps relative.
    pub resource_metadata: Option<String>,
    pub scope: Option<ScopeSet>,
    pub error: Option<String>,
}

impl BearerChallenge {
    /// Reads the header lines; `None` without a `Bearer` challenge.
    pub fn read(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Option<Self> {
        let mut found: Option<Self> = None;
        for line in lines.into_iter().take(LINES_MAX) {
            let line = line.as_ref();
            let end = line.floor_char_boundary(LINE_MAX);
            for (scheme, parameters) in challenges(line.get(..end).unwrap_or_default()) {
                if !scheme.eq_ignore_ascii_case("bearer") {
                    continue;
                }
                let found = found.get_or_insert_default();
                for (name, value) in parameters {
                    found.add(&name, value);
                }
            }
        }
        found
    }

    /// The first value counts.
    fn add(&mut self, name: &str, value: String) {
        match name {
            "resource_metadata" => {
                self.resource_metadata.get_or_insert(value);
            }
            "scope" => {
                self.scope.get_or_insert_with(|| ScopeSet::parse(&value));
            }
            "error" => {
                self.error.get_or_insert(value);
            }
            _ => {}
        }
    }

    /// Whether a token was accepted, but is not allowed to do this.
    pub fn wants_more(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }
}

type Parameters = Vec<(String, String)>;

/// The challenges of one line: the scheme, and its parameters with names in lower case.
fn challenges(line: &str) -> Vec<(String, Parameters)> {
    let mut rest = line;
    let mut found: Vec<(String, Parameters)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            if rest.is_empty() {
                return found;
            }
            // Not a token: skip to the next part.
            rest = rest.split_once(',').map_or("", |(_, rest)| rest);
            continue;
        }
        match (value(after), found.last_mut()) {
            (Some((value, after)), Some((_, parameters))) => {
                parameters.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some((_, after)), None) => rest = after,
            (None, _) => {
                found.push((word.to_owned(), Vec::new()));
                rest = after_token68(after);
            }
        }
    }
}

/// The token at the start, and what follows.
fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// `= value` at the start, and what follows.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start_matches([' ', '\t']).strip_prefix('=')?;
    let text = text.trim_start_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        // Some servers put no quotes around a URL.
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let is_value = !word.is_empty() && !word.starts_with('=');
        return is_value.then(|| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            _ => value.push(c),
        }
    }
    // A missing quote at the end of the line.
    Some((value, ""))
}

/// What follows a token of base64 after the scheme, as in `Negotiate YII=`.
fn after_token68(text: &str) -> &str {
    let start = text.trim_start_matches([' ', '\t']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let end = start.trim_start_matches(is_part).trim_start_matches('=');
    let is_alone = end.is_empty() || end.starts_with(',');
    if is_alone && end.len() < start.len() {
        end
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<BearerChallenge> {
        BearerChallenge::read(lines)
    }

    #[test]
    fn one_challenge() {
        let found = read(&[
            r#"Bearer error="invalid_token", resource_metadata="https://a.example/.well-known/oauth-protected-resource/mcp", scope="read write""#,
        ])
        .unwrap();
        assert_eq!(found.error.as_deref(), Some("invalid_token"));
        assert_eq!(
            found.resource_metadata.as_deref(),
            Some("https://a.example/.well-known/oauth-protected-resource/mcp")
        );
        assert_eq!(found.scope.unwrap().to_string(), "read write");
    }

    #[test]
    fn several_challenges_in_one_line_and_in_several() {
        for lines in [
            &[
                r#"Negotiate YII=, Basic realm="a, Bearer scope=\"x\"", bearer Scope = "one", Digest qop="auth""#,
            ][..],
            &[r#"Basic realm="x""#, "Negotiate", "BEARER scope=one"][..],
            &[r#"Bearer realm="r",,  scope="one""#][..],
            &[r#"Bearer scope="o\ne""#][..],
            &["Bearer", r#"Bearer scope="one", scope="two""#][..],
            &[r#"DPoP algs="ES256", Bearer scope="one"#][..],
        ] {
            let found = read(lines).unwrap_or_else(|| panic!("{lines:?}"));
            assert_eq!(found.scope.unwrap().to_string(), "one", "{lines:?}");
        }
    }

    #[test]
    fn anything_else_is_no_challenge() {
        for line in ["", "Basic realm=\"Bearer\"", "=,=,=", "\"Bearer\"", "é"] {
            assert_eq!(read(&[line]), None, "{line}");
        }
        assert_eq!(read(&["Bearer"]), Some(BearerChallenge::default()));
        let url = read(&["Bearer resource_metadata=https://a.example/x?y=1, scope=z"]).unwrap();
        assert_eq!(
            url.resource_metadata.as_deref(),
            Some("https://a.example/x?y=1")
        );
        let step = read(&["Bearer error=insufficient_scope"]).unwrap();
        assert!(step.wants_more());
    }

    #[test]
    fn hostile_lines_end() {
        let long = format!("Bearer {}", "a=\"\\".repeat(100_000));
        assert!(read(&[&long]).is_some());
        let many: Vec<_> = std::iter::repeat_n("Bearer scope=a", 100_000).collect();
        assert!(BearerChallenge::read(&many).is_some());
    }
}
