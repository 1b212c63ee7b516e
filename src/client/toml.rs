//! TOML, read into the tree.
//!
//! The spans of a table's own lines are kept, since a server in TOML may be spread over several
//! tables (`[mcp_servers.x]`, `[mcp_servers.x.env]`), on one line, or in dotted keys.

use ::toml::de::{DeTable, DeValue};

use super::tree::{FileFormat, Member, Node, Refused, TreeValue, line_of};

/// Parses a text.
pub(super) fn parse(text: &str) -> Result<Node, Refused> {
    let table = DeTable::parse(text).map_err(|error| Refused::Broken {
        format: FileFormat::Toml,
        line: line_of(text, error.span().map_or(0, |span| span.start)),
    })?;
    Ok(Node {
        span: 0..text.len(),
        value: TreeValue::Map(members(table.get_ref()).into()),
    })
}

fn members(table: &DeTable<'_>) -> Vec<Member> {
    let mut members: Vec<Member> = table
        .iter()
        .map(|(key, value)| Member {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: Node {
                span: value.span(),
                value: node(value.get_ref()),
            },
        })
        .collect();
    members.sort_by_key(|member| member.key_span.start);
    members
}

fn node(value: &DeValue<'_>) -> TreeValue {
    match value {
        DeValue::String(text) => TreeValue::Text(text.to_string()),
        DeValue::Array(array) => TreeValue::List(
            array
                .iter()
                .map(|item| Node {
                    span: item.span(),
                    value: node(item.get_ref()),
                })
                .collect(),
        ),
        DeValue::Table(table) => TreeValue::Map(members(table).into()),
        _ => TreeValue::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lines_and_dotted_keys() {
        let text = "[s.a]\r\ncommand = \"x\"\r\n[s.a.env]\r\nK = 'v'\r\n[s]\r\nb = { command = \"y\" }\r\nc.command = \"z\"\r\n";
        let root = parse(text).unwrap();
        let servers = root.get("s").unwrap();
        assert_eq!(servers.map().len(), 3);
        assert_eq!(
            &text[servers
                .get("a")
                .unwrap()
                .get("command")
                .unwrap()
                .span
                .clone()],
            "\"x\""
        );
        assert_eq!(
            &text[servers.get("b").unwrap().span.clone()],
            "{ command = \"y\" }"
        );
        assert!(matches!(
            parse("a = 1\na = 2").unwrap_err(),
            Refused::Broken { line: 2, .. }
        ));
        assert!(matches!(
            parse("a = \n").unwrap_err(),
            Refused::Broken { line: 1, .. }
        ));
    }
}
