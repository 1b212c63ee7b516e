//! Entries that mcpwrap cannot start: why they are skipped, and what can be done.

use crate::check::remote_words;
use crate::client::entry::ServerEntry;
use crate::client::table::KnownClient;
use crate::detect::{Judged, ValueSite, Verdict};

/// Why an entry without a program of its own is skipped, and what can be done.
pub(super) fn reason(
    client: Option<&KnownClient>,
    entry: &ServerEntry,
    judged: &[Judged<'_>],
) -> Option<String> {
    let secret = |slot: fn(&ValueSite<'_>) -> bool| {
        judged
            .iter()
            .any(|value| slot(&value.slot) && matches!(value.verdict, Verdict::Secret(_)))
    };
    if secret(|slot| matches!(slot, ValueSite::Setting(_))) {
        return Some(
            "its secret is in a setting of the client, which starts the server itself: use an environment variable \
             in the setting if the client supports that, or add the server with a `command` and adopt that"
                .to_owned(),
        );
    }
    if !entry.words.is_empty() {
        return None;
    }
    let header = judged.iter().find_map(|value| match value.slot {
        ValueSite::Header(name) if matches!(value.verdict, Verdict::Secret(_)) => Some(name),
        _ => None,
    });
    let place = if header.is_some() {
        "a header"
    } else {
        "its URL"
    };
    Some(format!(
        "remote server with its secret in {place}, and no process to start: {}",
        remote_words(client, header)
    ))
}
