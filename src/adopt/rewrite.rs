//! What the client's file has in place of an adopted entry.

use super::extracted::Extracted;
use super::remote::is_remote;
use crate::client::document::Document;
use crate::client::edit::{self, Change, Splice};
use crate::client::entry::ServerEntry;
use crate::client::remote_edit;
use crate::secret::ServerName;

/// The splices that make the entry start mcpwrap.
///
/// # Errors
/// Why its layout does not allow it.
pub(super) fn splices(
    document: &Document,
    program: &str,
    entry: &ServerEntry,
    extracted: &Extracted,
    server: &ServerName,
) -> Result<Vec<Splice>, String> {
    let mut head = vec!["run".to_owned(), server.to_string()];
    let splices = if is_remote(entry) {
        remote_edit::to_command(document, entry, program, &head)
    } else {
        // The client's command is compared with that of the policy, which a remote server has not.
        head.extend(extracted.remote.is_none().then(|| "--".to_owned()));
        let change = Change {
            program: program.to_owned(),
            head,
            words: extracted.words.clone(),
            drop_env: extracted.drop_env.clone(),
        };
        edit::splices(document, entry, &change)
    };
    splices.map_err(str::to_owned)
}
