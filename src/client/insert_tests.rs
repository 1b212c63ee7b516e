//! New entries in texts of every format and style. [`insert`] itself proves that taking one out gives the
//! old bytes.

use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::document::Document;
use super::entry_text::NewEntry;
use super::form::{EntryHome, home_of};
use super::insert::insert;
use super::insertion::{Insertion, StayReason};
use super::tree::FileFormat;

fn inserted(
    format: FileFormat,
    client: &str,
    name: &str,
    text: &str,
) -> Result<(String, Insertion), &'static str> {
    let home: &EntryHome = home_of(client).unwrap();
    let document = Document::read(format, text.as_bytes().to_vec()).map_err(|_| "not valid")?;
    let arguments = ["run".to_owned(), name.to_owned()];
    let entry = NewEntry {
        name,
        program: "/m/mcpwrap",
        arguments: &arguments,
    };
    insert(&document, home, entry)
}

#[track_caller]
fn case(format: FileFormat, client: &str, before: &str, after: &str) {
    let (text, _) = inserted(format, client, "x", before).unwrap();
    assert_eq!(text, after, "{client}");
}

#[test]
fn json() {
    let json = |before, after| case(FileFormat::Json, "cursor", before, after);
    json(
        "{}\n",
        "{\n  \"mcpServers\": {\n    \"x\": {\n      \"command\": \"/m/mcpwrap\",\n      \"args\": [\"run\", \"x\"]\n    }\n  }\n}\n",
    );
    json(
        "{\"a\": 1}",
        "{\"a\": 1, \"mcpServers\": {\"x\": {\"command\": \"/m/mcpwrap\", \"args\": [\"run\", \"x\"]}}}",
    );
    json(
        "{\n\t\"mcpServers\": {\n\t\t\"a\": {} /* , */ // c, d\n\t}\n}",
        "{\n\t\"mcpServers\": {\n\t\t\"a\": {}, /* , */ // c, d\n\t\t\"x\": {\n\t\t\t\"command\": \"/m/mcpwrap\",\n\t\t\t\"args\": [\"run\", \"x\"]\n\t\t}\n\t}\n}",
    );
    json(
        "{\n  \"mcpServers\": {\n    \"a\": {},\n  },\n}",
        "{\n  \"mcpServers\": {\n    \"a\": {},\n    \"x\": {\n      \"command\": \"/m/mcpwrap\",\n      \"args\": [\"run\", \"x\"]\n    },\n  },\n}",
    );
}

#[test]
fn toml() {
    let toml = |before, after| case(FileFormat::Toml, "codex", before, after);
    toml(
        "a = 1",
        "a = 1\n\n[mcp_servers.x]\ncommand = \"/m/mcpwrap\"\nargs = [\"run\", \"x\"]\n",
    );
    toml(
        "mcp_servers = { a = { command = \"b\" } } # c\n",
        "mcp_servers = { a = { command = \"b\" }, \"x\" = { command = \"/m/mcpwrap\", args = [\"run\", \"x\"] } } # c\n",
    );
    case(
        FileFormat::Toml,
        "mistral-vibe",
        "mcp_servers = []\nz = 1\n",
        "mcp_servers = [{ name = \"x\", transport = \"stdio\", command = \"/m/mcpwrap\", args = [\"run\", \"x\"] }]\nz = 1\n",
    );
}

#[test]
fn yaml() {
    case(
        FileFormat::Yaml,
        "hermes",
        "mcp_servers:\nz: 1\n",
        "mcp_servers:\n  x:\n    command: \"/m/mcpwrap\"\n    args: [\"run\", \"x\"]\nz: 1\n",
    );
    case(
        FileFormat::Yaml,
        "hermes",
        "mcp_servers: {} # none\n",
        "mcp_servers: {\"x\": {\"command\": \"/m/mcpwrap\", \"args\": [\"run\", \"x\"]}} # none\n",
    );
    case(
        FileFormat::Yaml,
        "continue",
        "name: a\n",
        "name: a\nmcpServers:\n  - name: \"x\"\n    command: \"/m/mcpwrap\"\n    args: [\"run\", \"x\"]\n",
    );
}

#[test]
fn what_was_changed_stays() {
    let (text, inserted) = inserted(FileFormat::Json, "cursor", "x", "{\"a\": 1}").unwrap();
    let undone = |text: &str| {
        let document = Document::read(FileFormat::Json, text.as_bytes().to_vec()).unwrap();
        inserted.undone(&document)
    };
    assert_eq!(undone(&text), Ok("{\"a\": 1}".to_owned()));
    let edited = text.replace("[\"run\"", "[\"-v\", \"run\"");
    assert_eq!(undone(&edited), Err(StayReason::Edited));
    assert_eq!(undone("{\"mcpServers\": {}}"), Err(StayReason::Gone));
    // Another entry in the table that was made for it.
    let more = text.replace("\"x\": {", "\"y\": {\"command\": \"z\"}, \"x\": {");
    let left = undone(&more).unwrap();
    assert_eq!(
        left,
        "{\"a\": 1, \"mcpServers\": {\"y\": {\"command\": \"z\"}}}"
    );
}

fn style() -> impl Strategy<Value = [bool; 4]> {
    any::<[bool; 4]>()
}

/// A file with servers of these names.
fn file(format: FileFormat, names: &[String], [crlf, bom, tight, newline]: [bool; 4]) -> String {
    let (open, next) = if tight {
        ("", ",")
    } else {
        ("\n    ", ",\n    ")
    };
    let json = |name: &String| format!("\"{name}\": {{\"command\": \"c\"}}");
    let mut text = match format {
        FileFormat::Json => {
            let all: Vec<_> = names.iter().map(json).collect();
            format!(
                "{{\"z\": [1],\n  \"mcpServers\": {{{open}{}\n  }} }} // end\n",
                all.join(next)
            )
        }
        FileFormat::Toml => {
            let one = |name: &String| format!("[mcp_servers.\"{name}\"]\ncommand = 'c' # {name}\n");
            let all: Vec<_> = names.iter().map(one).collect();
            format!("a = 1\n{}\n[tui]\nz = 1\n", all.join("\n"))
        }
        FileFormat::Yaml | FileFormat::FrontMatter => {
            let one = |name: &String| format!("  \"{name}\":\n    command: c # {name}\n");
            let all: Vec<_> = names.iter().map(one).collect();
            format!("a: 1\nmcp_servers:\n{}\nlast: true\n", all.concat())
        }
    };
    if !newline {
        text.truncate(text.trim_end().len());
    }
    if crlf {
        text = text.replace('\n', "\r\n");
    }
    if bom {
        text.insert(0, '\u{feff}');
    }
    text
}

proptest! {
    #[test]
    fn any_style_is_restored(
        names in prop::collection::btree_set("[a-c]{1,3}", 0..4),
        name in "[a-z][a-z0-9._-]{0,8}",
        style in style(),
        (format, client) in prop_oneof![
            Just((FileFormat::Json, "cursor")), Just((FileFormat::Toml, "codex")), Just((FileFormat::Yaml, "hermes"))
        ],
    ) {
        let names: Vec<String> = names.into_iter().filter(|known| *known != name).collect();
        let before = file(format, &names, style);
        let (text, inserted) = inserted(format, client, &name, &before).unwrap();
        prop_assert!(text.len() > before.len());
        let document = Document::read(format, text.into_bytes()).unwrap();
        prop_assert_eq!(inserted.undone(&document), Ok(before));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}:,\"'#/*=.a-c\\n mcpServers_-]{0,80}") {
        for (format, client) in [
            (FileFormat::Json, "cursor"), (FileFormat::Toml, "codex"), (FileFormat::Yaml, "hermes"),
            (FileFormat::Yaml, "continue"), (FileFormat::Toml, "mistral-vibe"),
        ] {
            drop(inserted(format, client, "x", &text));
        }
    }
}
