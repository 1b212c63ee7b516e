//! What is known about the scopes, permissions and kinds of keys of a service: which are enough for its
//! server, and which allow far more.
//!
//! Invariant: nothing is said about a scope that the catalog does not name, unless the catalog lists all
//! that the server needs.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The scopes of a service, or the permissions of its apps (`NAME:LEVEL`).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownScopes {
    /// The page of the provider that describes them.
    pub source: String,
    /// Those that the server's documentation requires; empty if it does not say.
    #[serde(default)]
    pub enough: Vec<String>,
    /// Hosts of the authorization servers that use these names.
    #[serde(default)]
    pub issuers: Vec<String>,
    /// What the provider may write before each name.
    #[serde(default)]
    prefix: String,
    /// Far-reaching ones, and what they allow. A name that ends with `*` stands for all that begin so.
    #[serde(default)]
    wide: BTreeMap<String, String>,
}

/// A kind of key that allows more than another kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BroadKey {
    /// The prefix of a value.
    pub look: String,
    /// What it is, and what it allows.
    pub is: String,
    /// The narrower kind.
    pub instead: String,
}

/// The levels of a permission, from the lowest.
const LEVELS: &[&str] = &["read", "write", "admin"];

impl KnownScopes {
    fn name<'a>(&self, scope: &'a str) -> &'a str {
        scope.strip_prefix(self.prefix.as_str()).unwrap_or(scope)
    }

    /// What a far-reaching scope allows.
    pub fn allows(&self, scope: &str) -> Option<&str> {
        let name = self.name(scope);
        let starts = |known: &str| {
            let start = known.strip_suffix('*');
            start.is_some_and(|start| name.starts_with(start))
        };
        let exact = self.wide.get(name);
        let all = || self.wide.iter().find(|(known, _)| starts(known));
        exact
            .or_else(|| all().map(|(_, allows)| allows))
            .map(String::as_str)
    }

    /// Whether the server needs this scope.
    fn needs(&self, scope: &str) -> bool {
        let name = self.name(scope);
        self.enough.iter().any(|known| known == name)
    }

    /// Those that the server does not need, in words. All others too, if the catalog lists what it needs.
    pub fn excess(&self, scopes: &[&str]) -> Vec<String> {
        let lists_all = !self.enough.is_empty();
        self.pick(scopes, |scope| {
            !self.needs(scope) && (lists_all || self.allows(scope).is_some())
        })
    }

    /// The far-reaching ones that the server does not need, in words.
    pub fn excess_wide(&self, scopes: &[&str]) -> Vec<String> {
        self.pick(scopes, |scope| {
            !self.needs(scope) && self.allows(scope).is_some()
        })
    }

    /// The far-reaching ones, in words.
    pub fn wide(&self, scopes: &[&str]) -> Vec<String> {
        self.pick(scopes, |scope| self.allows(scope).is_some())
    }

    fn pick(&self, scopes: &[&str], is_one: impl Fn(&str) -> bool) -> Vec<String> {
        let ones = scopes.iter().filter(|scope| is_one(scope));
        ones.map(|scope| self.shown(scope)).collect()
    }

    /// A scope, and what it allows if it is far-reaching.
    pub fn shown(&self, scope: &str) -> String {
        match self.allows(scope) {
            Some(allows) => format!("{scope} ({allows})"),
            None => scope.to_owned(),
        }
    }

    /// The permissions of an app that are more than the server needs, in words: `admin`, far-reaching
    /// ones, and a higher level than that which is enough.
    pub fn excess_permissions(&self, permissions: &BTreeMap<String, String>) -> Vec<String> {
        let level = |word: &str| LEVELS.iter().position(|known| *known == word);
        let mut more = Vec::new();
        for (name, word) in permissions {
            let one = format!("{name}:{word}");
            let of_server = self.enough.iter().find_map(|known| {
                let (known, enough) = known.split_once(':')?;
                (known == name).then_some(enough)
            });
            match of_server {
                Some(enough) if level(word) <= level(enough) => {}
                Some(enough) if self.allows(&one).is_none() => {
                    more.push(format!("{name}: {word} ({enough} is enough)"));
                }
                _ => more.extend(self.permission(name, word)),
            }
        }
        more
    }

    /// The far-reaching permissions of an app, in words.
    pub fn wide_permissions(&self, permissions: &BTreeMap<String, String>) -> Vec<String> {
        let one = |(name, level): (&String, &String)| self.permission(name, level);
        permissions.iter().filter_map(one).collect()
    }

    fn permission(&self, name: &str, level: &str) -> Option<String> {
        match self.allows(&format!("{name}:{level}")) {
            Some(allows) => Some(format!("{name}: {level} ({allows})")),
            None if level == "admin" => Some(format!("{name}: admin (the highest level)")),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog;

    fn scopes(id: &str) -> &'static KnownScopes {
        catalog::of_id(id).unwrap().scopes.as_ref().unwrap()
    }

    #[test]
    fn what_is_more_than_a_server_needs() {
        let github = scopes("github");
        let more = github.excess(&["repo", "delete_repo", "made:up"]);
        assert_eq!(more, ["delete_repo (delete repositories)", "made:up"]);
        // A token of a login has scopes of which the catalog knows nothing.
        assert_eq!(github.excess_wide(&["repo", "openid"]), [""; 0]);
        assert_eq!(github.wide(&["repo", "openid"]).len(), 1);
        let slack = scopes("slack");
        assert_eq!(slack.excess_wide(&["admin.users:write"]).len(), 1);
        assert_eq!(slack.excess_wide(&["administer", "chat:write"]), [""; 0]);
    }

    #[test]
    fn a_name_may_be_written_as_an_address() {
        let microsoft = scopes("microsoft");
        for scope in [
            "Files.ReadWrite.All",
            "https://graph.microsoft.com/Files.ReadWrite.All",
        ] {
            assert!(microsoft.allows(scope).is_some(), "{scope}");
        }
        assert_eq!(microsoft.allows("Files.Read"), None);
        let google = scopes("google-workspace");
        let drive = "https://www.googleapis.com/auth/drive";
        assert!(google.allows(drive).is_some());
        assert_eq!(google.allows(&format!("{drive}.file")), None);
        assert!(google.allows("https://mail.google.com/").is_some());
    }

    #[test]
    fn permissions_are_compared_by_their_level() {
        let github = catalog::of_id("github").unwrap();
        let known = github.permissions.as_ref().unwrap();
        let excess = |name: &str, level: &str| {
            known.excess_permissions(&BTreeMap::from([(name.to_owned(), level.to_owned())]))
        };
        assert_eq!(excess("contents", "read"), [""; 0]);
        assert_eq!(excess("contents", "write"), [""; 0]);
        assert_eq!(
            excess("metadata", "write"),
            ["metadata: write (read is enough)"]
        );
        assert_eq!(excess("administration", "read"), [""; 0]);
        assert_eq!(
            excess("repository_projects", "admin"),
            ["repository_projects: admin (the highest level)"]
        );
        let more = excess("administration", "write");
        assert!(
            more[0].starts_with("administration: write (change"),
            "{more:?}"
        );
    }

    /// No text can pass for another line, and each fits into a finding.
    #[test]
    fn every_fact_has_a_source_and_a_short_text() {
        let mut services = 0;
        for known in catalog::all() {
            for table in known.scopes.iter().chain(&known.permissions) {
                services += 1;
                let id = known.id;
                assert!(table.source.starts_with("https://"), "{id}");
                assert!(!table.wide.is_empty(), "{id}");
                for (name, allows) in &table.wide {
                    assert!(!name.is_empty() && !name.contains(' '), "{id}: {name}");
                    assert!((10..90).contains(&allows.len()), "{id}: {allows}");
                    assert!(
                        allows.is_ascii() && !allows.ends_with('.'),
                        "{id}: {allows}"
                    );
                }
            }
            for key in known.secrets.values().flat_map(|secret| &secret.broad) {
                services += 1;
                assert!(key.look.len() >= 4, "{}: {}", known.id, key.look);
                assert!(key.is.starts_with('a'), "{}: {}", known.id, key.is);
                assert!(
                    key.instead.starts_with('a'),
                    "{}: {}",
                    known.id,
                    key.instead
                );
            }
        }
        assert!(services >= 10, "{services}");
    }

    #[test]
    fn an_authorization_server_is_in_one_file_only() {
        let mut seen = std::collections::BTreeSet::new();
        for known in catalog::all() {
            for host in known.scopes.iter().flat_map(|table| &table.issuers) {
                assert!(seen.insert(host), "{host}");
                let issuer = format!("https://{host}/path");
                assert_eq!(catalog::of_issuer(&issuer).unwrap().id, known.id);
            }
        }
        assert!(catalog::of_issuer("https://as.example").is_none());
        assert!(catalog::of_issuer("not a URL").is_none());
    }
}
