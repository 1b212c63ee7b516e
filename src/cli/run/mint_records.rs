//! What one `mcpwrap run` writes into the audit log about short-lived credentials.

use super::records::Records;
use crate::audit::{Detail, Event, Outcome, SecretUse};
use crate::mint::{MintEvent, MintFact};
use crate::reference::{MintRef, Reference};
use crate::session::ClientName;

impl Records {
    /// Records what happened to a short-lived credential, without waiting.
    pub(super) fn mint(&self, fact: &MintFact) {
        let (reason, outcome, note) = match &fact.event {
            MintEvent::Made(life, granted) => ("made", Outcome::Ok, life_text(*life, granted)),
            MintEvent::Extended(life) => ("extended", Outcome::Ok, life_text(*life, &[])),
            MintEvent::Withdrawn => ("withdrawn", Outcome::Ok, None),
            MintEvent::NotWithdrawn(code) => {
                ("withdrawn", Outcome::Failed, Some(code.name().to_owned()))
            }
        };
        let note = note.map_or_else(
            || fact.maker.clone(),
            |note| format!("{}: {note}", fact.maker),
        );
        let detail = Detail {
            note: Some(note),
            ..Detail::default()
        };
        let name = Reference::Mint(MintRef {
            mint: fact.mint.clone(),
            field: None,
        });
        let secret = SecretUse {
            name: name.label(),
            variable: None,
            fingerprint: None,
        };
        let record = self.record(Event::Mint, outcome, &ClientName::default());
        self.write(record.reason(reason).secret(secret).detail(detail));
    }
}

/// How long a credential lives, and what its issuer says that it may do.
fn life_text(life: Option<u64>, granted: &[(String, String)]) -> Option<String> {
    let life = life.map(|seconds| format!("{seconds} s"));
    let granted = granted.iter().map(|(name, what)| format!("{name}: {what}"));
    let parts: Vec<_> = life.into_iter().chain(granted).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
