//! Entries whose client logs in by itself with OAuth: a URL without a secret, and commands such as
//! `npx mcp-remote URL`.
//!
//! Invariant: such an entry becomes a remote policy with `[oauth]` only if the user asks for that.

use super::approval::AdoptApproval;
use super::bridge_command;
use super::extracted::Extracted;
use super::names::Names;
use super::plan::LoginChoice;
use super::references::References;
use super::remote;
use crate::client::document::Document;
use crate::client::entry::ServerEntry;
use crate::client::remote_edit;
use crate::client::tree::Node;
use crate::detect::{Judged, ValueSite, Verdict};
use crate::policy::remote::OAuthTable;
use crate::secret::ServerName;

/// Extracts such an entry, or says why mcpwrap cannot log in for it. `None` for other entries.
pub(super) fn extract(
    document: &Document,
    (entry, node): (&ServerEntry, &Node),
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Option<Result<Extracted, String>> {
    let found = if remote::is_remote(entry) {
        of_url(document, (entry, node), judged, references)
    } else {
        bridge_command::without_secret(entry, judged, references)
    };
    Some(found?.map(|mut extracted| {
        if let Some(remote) = &mut extracted.remote {
            remote.oauth = Some(OAuthTable::default());
        }
        let condition = "it changes only if you log in to it with mcpwrap, which comes first";
        extracted.notes.push(condition.to_owned());
        extracted
    }))
}

fn of_url(
    document: &Document,
    (entry, node): (&ServerEntry, &Node),
    judged: &[Judged<'_>],
    references: &References<'_>,
) -> Option<Result<Extracted, String>> {
    // What is sent in a header, or filled in later, is a credential of another kind.
    let is_other = |value: &Judged<'_>| match (&value.verdict, value.slot) {
        (Verdict::Secret(_), _) => true,
        (Verdict::Nothing, ValueSite::Header(name)) => is_authorization(name),
        (Verdict::Nothing, _) => false,
        (_, slot) => matches!(slot, ValueSite::Header(_) | ValueSite::Url),
    };
    if judged.iter().any(is_other) || remote::refers(entry, node, judged) {
        return None;
    }
    if remote_edit::has_header_program(node) {
        return None;
    }
    match remote_edit::oauth_of(document, node) {
        remote_edit::ClientOAuth::Off => None,
        remote_edit::ClientOAuth::Plain => Some(remote::extract(node, judged, references)),
        remote_edit::ClientOAuth::Own(field) => Some(Err(format!(
            "its client has OAuth settings for it (`{field}`): write a policy with `mcpwrap policy new NAME --url URL`, \
             and put them below `[oauth]`"
        ))),
    }
}

impl LoginChoice {
    /// Whether the entry of a policy may change: the user logged in to its server, or can.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn allows(&self, server: &ServerName, names: &Names) -> Result<(), String> {
        let Some(new) = names.planned(server).filter(|new| new.needs_login()) else {
            return Ok(());
        };
        match (&new.approval, self) {
            (AdoptApproval::Withheld(withheld), _) => Err(format!(
                "{}: run `mcpwrap grant {server}` and `mcpwrap login {server}`",
                withheld.why
            )),
            (_, Self::Done(servers)) if !servers.contains(server) => {
                Err("nobody logged in to it".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn is_authorization(header: &str) -> bool {
    header.eq_ignore_ascii_case("authorization")
}
