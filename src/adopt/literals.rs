//! Numbers and booleans among an entry's variables, which clients pass on as text.

use crate::client::document::Document;
use crate::client::entry::ServerEntry;
use crate::client::tree::{Node, PathStep, TreeValue};
use crate::policy::template::is_variable_name;

/// The variables of an entry that are not strings, as the file has them.
///
/// # Errors
/// Why one of them cannot reach the server.
pub(super) fn variables(
    document: &Document,
    entry: &ServerEntry,
) -> Result<Vec<(String, String)>, String> {
    let env = entry.env_path.as_ref().and_then(|path| {
        let path: Vec<PathStep> = entry.path.iter().chain(path).cloned().collect();
        document.find(&path)
    });
    let mut found = Vec::new();
    for member in env.map_or(&[][..], Node::map) {
        let name = &member.key;
        match &member.node.value {
            TreeValue::Text(_) => {}
            TreeValue::Other => {
                let text = document.at(&member.node.span).trim();
                // Nothing is what clients pass on for nothing.
                if matches!(text, "null" | "Null" | "NULL" | "~" | "") {
                    continue;
                }
                // A value that was too long to read.
                if text.starts_with(['{', '[', '"', '\'']) {
                    return Err(format!("`{name}` in its environment is too long"));
                }
                if !is_variable_name(name) {
                    return Err(format!(
                        "`{name}` in its environment is not a variable name"
                    ));
                }
                found.push((name.clone(), text.to_owned()));
            }
            TreeValue::List(_) | TreeValue::Map(_) => {
                return Err(format!(
                    "`{name}` in its environment is a list or an object, not text: write its text, then adopt it"
                ));
            }
        }
    }
    Ok(found)
}
