//! Properties of adopting, for any servers in all three formats and in any style.
//!
//! Outside the changed entries no byte differs; no secret remains; undo gives the old bytes.
#![expect(
    clippy::format_push_string,
    clippy::struct_excessive_bools,
    clippy::needless_for_each,
    clippy::semicolon_if_nothing_returned,
    reason = "texts are put together line by line"
)]

use std::path::PathBuf;

use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::builder::build;
use super::names::Names;
use super::plan::{AdoptPlan, EntryFilter};
use crate::client::document::Document;
use crate::client::regions::regions;
use crate::client::tree::{FileFormat, quoted};
use crate::detect::FirstLook;
use crate::dirs::Dirs;
use crate::scan::clients::ClientFile;
use crate::store::Index;

/// One server: its name, its arguments, its variables; those marked hold a secret. A remote one has
/// headers in place of variables.
#[derive(Clone, Debug)]
struct ModelServer {
    name: String,
    is_remote: bool,
    args: Vec<(bool, String)>,
    env: Vec<(bool, String)>,
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
struct Style {
    crlf: bool,
    bom: bool,
    tight: bool,
    final_newline: bool,
}

fn server() -> impl Strategy<Value = ModelServer> {
    let text = || {
        prop_oneof![
            Just("plain"),
            Just("two words"),
            Just("é \"q\" \\"),
            Just("a,b:c#d"),
            Just("")
        ]
        .prop_map(str::to_owned)
    };
    let value = || prop_oneof![3 => text().prop_map(|t| (false, t)), 1 => "[a-f0-9]{8}Zq7[A-Z0-9]{12}x".prop_map(|t| (true, t))];
    let name = prop_oneof![3 => "[a-z]{1,8}", 1 => "[ -~é🚀]{1,10}"]
        .prop_filter("no flag", |name| !name.trim().is_empty());
    (
        name,
        prop::collection::vec(value(), 0..5),
        prop::collection::vec(value(), 0..4),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(name, mut args, mut env, is_remote)| {
            if is_remote {
                args.clear();
                // What no header can have.
                let texts = env.iter_mut().map(|(_, text)| text);
                texts
                    .filter(|text| text.is_empty() || !text.is_ascii())
                    .for_each(|text| *text = "plain".to_owned());
            }
            ModelServer {
                name,
                is_remote,
                args,
                env,
            }
        })
}

fn style() -> impl Strategy<Value = Style> {
    any::<[bool; 4]>().prop_map(|[crlf, bom, tight, final_newline]| Style {
        crlf,
        bom,
        tight,
        final_newline,
    })
}

/// The words of the command line: a secret follows a flag whose name promises one.
fn words(server: &ModelServer) -> Vec<String> {
    let flagged = |(secret, text): &(bool, String)| {
        if *secret {
            vec!["--api-key".to_owned(), text.clone()]
        } else {
            vec![text.clone()]
        }
    };
    server.args.iter().flat_map(flagged).collect()
}

fn variables(server: &ModelServer) -> Vec<(String, String)> {
    let named = |(n, (secret, text)): (usize, &(bool, String))| {
        let name = match (server.is_remote, secret) {
            (false, true) => "API_KEY_",
            (false, false) => "NOTE_",
            (true, true) => "X-Api-Key-",
            (true, false) => "X-Note-",
        };
        (format!("{name}{n}"), text.clone())
    };
    server.env.iter().enumerate().map(named).collect()
}

fn write(format: FileFormat, servers: &[ModelServer], style: Style) -> Vec<u8> {
    let mut text = match format {
        FileFormat::Json => json(servers, style),
        FileFormat::Toml => toml(servers, style),
        FileFormat::Yaml | FileFormat::FrontMatter => yaml(servers, style),
    };
    if !style.final_newline {
        text.truncate(text.trim_end().len());
    }
    if style.crlf {
        text = text.replace('\n', "\r\n");
    }
    if style.bom {
        text.insert(0, '\u{feff}');
    }
    text.into_bytes()
}

fn list(words: &[String], separator: &str) -> String {
    words
        .iter()
        .map(|word| quoted(word))
        .collect::<Vec<_>>()
        .join(separator)
}

fn json(servers: &[ModelServer], style: Style) -> String {
    let (open, next) = if style.tight {
        ("", ",")
    } else {
        ("\n        ", ",\n        ")
    };
    let one = |server: &ModelServer| {
        let env: Vec<_> = variables(server)
            .iter()
            .map(|(name, text)| format!("{}: {}", quoted(name), quoted(text)))
            .collect();
        if server.is_remote {
            return format!(
                "    {}: {{ \"type\": \"http\", // c\n      \"url\": \"https://h.example/mcp\", \"headers\": {{{open}{}}} }}",
                quoted(&server.name),
                env.join(next)
            );
        }
        format!(
            "    {}: {{ \"command\": \"npx\", // c\n      \"args\": [{open}{}], \"env\": {{{open}{}}} }}",
            quoted(&server.name),
            list(&words(server), next),
            env.join(next)
        )
    };
    let all: Vec<_> = servers.iter().map(one).collect();
    format!(
        "// mine\n{{ \"x\": [1, {{}}],\n  \"mcpServers\": {{\n{}\n  }} /* end */ }}\n",
        all.join(",\n")
    )
}

fn toml(servers: &[ModelServer], style: Style) -> String {
    let mut text = "model = \"x\" # mine\n\n".to_owned();
    for server in servers {
        let table = format!("mcp_servers.{}", quoted(&server.name));
        let args = list(&words(server), ", ");
        let env: Vec<_> = variables(server)
            .iter()
            .map(|(name, text)| format!("{name} = {}", quoted(text)))
            .collect();
        text += &if server.is_remote {
            format!("[{table}]\nurl = 'https://h.example/mcp' # c\n")
        } else {
            format!("[{table}]\ncommand = 'npx' # c\nargs = [{args}]\n")
        };
        let values = if server.is_remote {
            "http_headers"
        } else {
            "env"
        };
        text += &if style.tight {
            format!("{values} = {{ {} }}\n", env.join(", "))
        } else {
            format!("\n[{table}.{values}]\n{}\n# end\n", env.join("\n"))
        };
    }
    text + "[tui]\nz = 1\n"
}

fn yaml(servers: &[ModelServer], style: Style) -> String {
    let mut text = "a: 1 # mine\nmcpServers:\n".to_owned();
    for server in servers {
        let (args, env) = (words(server), variables(server));
        let first = if server.is_remote {
            "url: https://h.example/mcp"
        } else {
            "command: npx"
        };
        text += &format!("  {}:\n    {first} # c\n", quoted(&server.name));
        if server.is_remote {
            // It has no arguments.
        } else if style.tight || args.is_empty() {
            text += &format!("    args: [{}]\n", list(&args, ", "));
        } else {
            text += "    args:\n";
            args.iter()
                .for_each(|word| text += &format!("      - {}\n", quoted(word)));
        }
        if !env.is_empty() {
            text += if server.is_remote {
                "    headers:\n"
            } else {
                "    env:\n"
            };
            env.iter().for_each(|(name, value)| {
                text += &format!("      {name}: {} # v\n", quoted(value))
            });
        }
    }
    text + "last: true\n"
}

fn planned(document: Document, bytes: Vec<u8>, path: &std::path::Path) -> (AdoptPlan, ClientFile) {
    let mut found = [ClientFile::new(
        None,
        path,
        path.to_path_buf(),
        bytes,
        Ok(document),
    )];
    let needs_full_scan = found[0].needs_full_scan(&mut FirstLook::default());
    found[0].needs_full_scan = needs_full_scan;
    let home = PathBuf::from("/nonexistent");
    let mut names = Names::new(&Dirs::under(&home), &Index::default(), None);
    let plan = build(&found, &EntryFilter::default(), &mut names, "/opt/mcpwrap");
    let [found] = found;
    (plan, found)
}

proptest! {
    #[test]
    fn nothing_else_changes_and_no_secret_is_left(
        servers in prop::collection::vec(server(), 1..5),
        style in style(),
        format in prop_oneof![Just(FileFormat::Json), Just(FileFormat::Toml), Just(FileFormat::Yaml)],
    ) {
        let mut seen = std::collections::BTreeSet::new();
        let servers: Vec<ModelServer> = servers.into_iter().filter(|server| seen.insert(server.name.clone())).collect();
        let bytes = write(format, &servers, style);
        let document = Document::read(format, bytes.clone()).unwrap();
        let path = tempfile::NamedTempFile::new().unwrap();
        let (plan, found) = planned(document, bytes, path.path());
        prop_assert!(plan.left.is_empty(), "{:?}", plan.left);
        let old = found.document.as_ref().unwrap();
        let secrets = servers.iter().flat_map(|server| server.args.iter().chain(&server.env)).filter(|(secret, _)| *secret);
        let Some(file) = plan.files.first() else {
            prop_assert_eq!(secrets.count(), 0);
            return Ok(());
        };
        for (_, secret) in secrets {
            prop_assert!(!file.text.contains(secret.as_str()));
        }
        let new = Document::read(format, file.text.clone().into_bytes()).unwrap();
        let without = |document: &Document| {
            let mut spans: Vec<_> = file.entries.iter().flat_map(|entry| regions(document, &entry.path)).collect();
            spans.sort_by_key(|span| std::cmp::Reverse(span.start));
            spans.into_iter().fold(document.text.clone(), |mut text, span| { text.replace_range(span, "\0"); text })
        };
        prop_assert_eq!(without(old), without(&new));
        let pieces = file.entries.iter().map(|entry| (entry.path.as_slice(), entry.before.as_slice()));
        let back = super::restore::after_undo(&new, pieces, &file.cuts);
        prop_assert_eq!(back.as_deref(), Some(old.text.as_str()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"'#/*=.a-c\\n \\\\-]{0,80}") {
        for bytes in [bytes, text.into_bytes()] {
            for name in ["a.json", "a.toml", "a.yaml", "a"] {
                if let Ok(document) = Document::read_any(name, bytes.clone()) {
                    for entry in crate::client::entry::entries(&document) {
                        crate::detect::entry(&entry);
                    }
                }
            }
        }
    }
}
