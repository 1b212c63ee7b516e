//! What the user must do so that clients load a change of their configs.

use super::print;
use crate::client::table::{After, KnownClient};

/// Says it, once for each client.
pub(super) fn say(clients: impl IntoIterator<Item = &'static KnownClient>) {
    let mut seen: Vec<&str> = Vec::new();
    for client in clients {
        if seen.contains(&client.id) {
            continue;
        }
        seen.push(client.id);
        match client.after {
            After::Nothing => print::line(&format!("{} reloads automatically", client.name)),
            After::Restart => print::line(&format!("restart {}", client.name)),
            After::Approve => print::line(&format!(
                "{} will ask you to approve the changed servers",
                client.name
            )),
            After::RestartAndApprove => print::line(&format!(
                "restart {}; it will ask you to approve the changed servers",
                client.name
            )),
        }
    }
}
