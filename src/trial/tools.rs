//! The tools that a server lists, page by page.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fault::TrialFault;
use super::terms::{Introduction, OfferedTool};

const METHOD: &str = "tools/list";
/// More pages are not asked for.
const PAGES_MAX: usize = 1000;
/// All pages together (bytes).
const BYTES_MAX: usize = 64 << 20;

/// Asks for all pages. `ask` returns the page at a cursor, and its length in bytes.
pub(super) fn list(
    found: &Introduction,
    mut ask: impl FnMut(Option<&str>) -> Result<(Value, usize), TrialFault>,
) -> Result<Vec<OfferedTool>, TrialFault> {
    let mut tools = Vec::new();
    if !found.has_tools {
        return Ok(tools);
    }
    let mut seen = BTreeSet::new();
    let mut cursor: Option<String> = None;
    let mut bytes: usize = 0;
    loop {
        let (page, length) = ask(cursor.as_deref())?;
        tools.extend(tools_of(&page)?);
        bytes = bytes.saturating_add(length);
        if bytes > BYTES_MAX {
            let limit = BYTES_MAX >> 20;
            return wrong(format!("its tools take more than {limit} MiB"));
        }
        let Some(next) = page.get("nextCursor").and_then(Value::as_str) else {
            return Ok(tools);
        };
        if !seen.insert(next.to_owned()) {
            return wrong(format!(
                "`{METHOD}` repeats a cursor, so its pages have no end"
            ));
        }
        if seen.len() >= PAGES_MAX {
            return wrong(format!("`{METHOD}` has more than {PAGES_MAX} pages"));
        }
        cursor = Some(next.to_owned());
    }
}

fn wrong<T>(why: String) -> Result<T, TrialFault> {
    Err(TrialFault::Wrong(why))
}

fn tools_of(page: &Value) -> Result<Vec<OfferedTool>, TrialFault> {
    let Some(listed) = page.get("tools").and_then(Value::as_array) else {
        return wrong(format!("its answer to `{METHOD}` has no list of tools"));
    };
    let tool = |tool: &Value| {
        let text = |key: &str| tool.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(OfferedTool {
            name: text("name")?,
            description: text("description"),
        })
    };
    let tools: Option<Vec<_>> = listed.iter().map(tool).collect();
    tools.map_or_else(
        || wrong(format!("a tool in its answer to `{METHOD}` has no name")),
        Ok,
    )
}
