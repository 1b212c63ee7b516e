//! Entries that mcpwrap cannot start: why they stay as they are, and what can be done.

use crate::client::entry::ServerEntry;
use crate::detect::{Judged, ValueSite, Verdict};

/// Why an entry that the client does not start itself stays as it is, and what can be done today.
pub(super) fn reason(entry: &ServerEntry, judged: &[Judged<'_>]) -> Option<String> {
    let secret = |slot: fn(&ValueSite<'_>) -> bool| {
        judged
            .iter()
            .any(|value| slot(&value.slot) && matches!(value.verdict, Verdict::Secret(_)))
    };
    if secret(|slot| matches!(slot, ValueSite::Setting(_))) {
        return Some(
            "its secret is in a setting of the client, which starts the server itself: let the setting refer to a \
             variable of your environment if the client can, or add the server with a `command` and adopt that"
                .to_owned(),
        );
    }
    if !entry.words.is_empty() {
        return None;
    }
    let place = if secret(|slot| matches!(slot, ValueSite::Header(_))) {
        "a header"
    } else {
        "its address"
    };
    Some(format!(
        "it is remote, and its secret is in {place}, which only the client sends: use the client's own sign-in \
         (OAuth) or a reference there (`${{env:NAME}}`, `${{input:id}}`, Codex: `bearer_token_env_var`), or start it \
         through a bridge (`npx mcp-remote URL --header …`) and adopt that"
    ))
}
