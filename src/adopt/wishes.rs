//! The names that new policies and secrets would have if they were free.

/// A client's name for a server as a file name.
pub(super) fn plain(name: &str) -> String {
    let lower = name.to_lowercase();
    let mapped: String = lower
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = mapped.trim_matches(['-', '_', '.']);
    let short: String = trimmed.chars().take(48).collect();
    match short.as_str() {
        "" => "server".to_owned(),
        // Secrets below these names belong to logins.
        name @ ("oauth" | "oauth-client" | "oauth-revoke") => format!("{name}-server"),
        _ => short,
    }
}

/// `github/personal-access-token` for `GITHUB_PERSONAL_ACCESS_TOKEN` of `github`.
pub(super) fn wish(base: &str, variable: &str) -> String {
    let lower = variable.to_ascii_lowercase().replace('_', "-");
    let part = lower
        .strip_prefix(base)
        .filter(|rest| rest.is_empty() || rest.starts_with('-'));
    let rest = part.unwrap_or(&lower).trim_matches('-');
    format!("{base}/{}", if rest.is_empty() { "secret" } else { rest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::ServerName;

    #[test]
    fn names_of_files_and_secrets() {
        for (name, expected) in [
            ("GitHub", "github"),
            ("@21st-dev/magic", "21st-dev-magic"),
            ("🚀", "server"),
            ("my server", "my-server"),
            ("..", "server"),
            ("OAuth", "oauth-server"),
            ("ünï", "n"),
        ] {
            assert_eq!(plain(name), expected);
            assert!(ServerName::new(&plain(name)).is_ok(), "{name}");
        }
        assert_eq!(wish("github", "GITHUB_TOKEN"), "github/token");
        assert_eq!(wish("x", "API_KEY"), "x/api-key");
        assert_eq!(wish("a", "API_KEY"), "a/api-key");
        assert_eq!(wish("api-key", "API_KEY"), "api-key/secret");
    }
}
