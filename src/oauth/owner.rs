//! Whose token it is: a policy's with its profile, for a remote server or for one mint of a local one.

use serde::{Deserialize, Serialize};

use crate::audit::{Event, NewRecord, Outcome, SecretUse};
use crate::error::Result;
use crate::policy::Policy;
use crate::reference::{MintRef, Reference};
use crate::secret::{MintName, ProfileName, SecretName, ServerName};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenOwner {
    pub server: ServerName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileName>,
    /// The `[mint.NAME]` of the policy; `None` for a remote server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mint: Option<MintName>,
}

impl TokenOwner {
    /// The owner of the token of a remote server.
    pub fn remote(server: &ServerName, profile: Option<&ProfileName>) -> Self {
        Self {
            server: server.clone(),
            profile: profile.cloned(),
            mint: None,
        }
    }

    /// The owners of all tokens that a policy needs: the remote server, or each mint.
    pub fn of_policy(policy: &Policy) -> Vec<Self> {
        let own = Self::remote(&policy.server, policy.profile.as_ref());
        let remote = policy.remote.as_ref();
        let remote = remote.filter(|remote| remote.oauth.is_some());
        let mints = policy.oauth_mints().map(|(name, _)| Self {
            mint: Some(name.clone()),
            ..own.clone()
        });
        let mints: Vec<_> = mints.collect();
        remote.map(|_| own).into_iter().chain(mints).collect()
    }

    /// The name of its item in the store.
    ///
    /// # Errors
    /// `name-invalid` if the names are too long together.
    pub fn item_name(&self) -> Result<SecretName> {
        let Self {
            server,
            profile,
            mint,
        } = self;
        let mut name = format!("oauth/{server}");
        if let Some(profile) = profile {
            name.extend(["/", profile.as_str()]);
        }
        if let Some(mint) = mint {
            name.extend(["/mint/", mint.as_str()]);
        }
        SecretName::new(&name)
    }

    /// A record about its token, which names the mint if it is one.
    pub fn record(&self, event: Event, outcome: Outcome) -> NewRecord {
        let record = NewRecord::new(event, outcome)
            .server(&self.server)
            .profile(self.profile.as_ref());
        let Some(mint) = self.mint.clone() else {
            return record;
        };
        let reference = Reference::Mint(MintRef { mint, field: None });
        record.secret(SecretUse {
            name: reference.label(),
            variable: None,
            fingerprint: None,
        })
    }

    /// The command that logs in.
    pub fn login_command(&self) -> String {
        let server = &self.server;
        self.profile.as_ref().map_or_else(
            || format!("mcpwrap login {server}"),
            |profile| format!("mcpwrap login {server} --profile {profile}"),
        )
    }

    /// The command that logs out.
    pub fn logout_command(&self) -> String {
        self.login_command().replacen("login", "logout", 1)
    }

    /// `S`, or `S (mint:NAME)`, for lists.
    pub fn brief(&self) -> String {
        match &self.mint {
            None => self.server.to_string(),
            Some(mint) => format!("{} (mint:{mint})", self.server),
        }
    }

    /// "the token of `S`", for findings.
    pub fn token(&self) -> String {
        let server = &self.server;
        let mut text = match &self.mint {
            None => format!("the token of `{server}`"),
            Some(mint) => format!("the token `mint:{mint}` of `{server}`"),
        };
        if let Some(profile) = &self.profile {
            text.extend([" (profile `", profile.as_str(), "`)"]);
        }
        text
    }

    /// "server `S`", for messages.
    pub fn shown(&self) -> String {
        match &self.mint {
            None => format!("server `{}`", self.server),
            Some(mint) => format!("`mint:{mint}` of server `{}`", self.server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_owners_share_an_item() {
        let server = ServerName::new("s").unwrap();
        let mint = ProfileName::new("mint").unwrap();
        let name = MintName::new("mint").unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for profile in [None, Some(mint)] {
            for mint in [None, Some(name.clone())] {
                let owner = TokenOwner {
                    server: server.clone(),
                    profile: profile.clone(),
                    mint,
                };
                let item = owner.item_name().unwrap();
                assert!(item.is_internal());
                assert!(seen.insert(item), "{owner:?}");
            }
        }
    }
}
