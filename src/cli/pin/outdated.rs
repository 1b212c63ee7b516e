//! `mcpwrap pin --outdated`: which pinned packages have a newer version.

use serde_json::json;

use crate::cli::print;
use crate::dirs::Dirs;
use crate::error::{EXIT_NO, Result};
use crate::package;
use crate::policy;
use crate::secret::ServerName;

/// Lists the outdated packages of these servers, or of all; 1 if there are any.
pub(super) fn run(servers: &[ServerName], json: bool, dirs: &Dirs) -> Result<u8> {
    let mut found = Vec::new();
    for (server, policy) in policy::list(dirs) {
        if !servers.is_empty() && !servers.contains(&server) {
            continue;
        }
        let Some(pinned) = policy?.package else {
            continue;
        };
        let Some(latest) = package::latest(dirs, &server, &pinned)? else {
            continue;
        };
        if latest != pinned.version {
            found.push((server, pinned, latest));
        }
    }
    if json {
        let entry = |(server, pinned, latest): &(ServerName, policy::Package, String)| {
            json!({
                "server": server.as_str(), "package": pinned.name,
                "version": pinned.version, "latest": latest,
            })
        };
        print::json(&json!({ "outdated": found.iter().map(entry).collect::<Vec<_>>() }));
    } else {
        let rows = found.iter().map(|(server, pinned, latest)| {
            vec![
                server.to_string(),
                pinned.name.clone(),
                pinned.version.clone(),
                latest.clone(),
            ]
        });
        if found.is_empty() {
            print::note("all pinned packages are up to date");
        } else {
            print::table(&["SERVER", "PACKAGE", "PINNED", "LATEST"], rows);
        }
    }
    Ok(if found.is_empty() { 0 } else { EXIT_NO })
}
