//! Documents generated from the code; `cargo xtask fix` updates them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use mcpwrap::testing::error::Code;
use mcpwrap::testing::policy;
use mcpwrap::testing::policy::json_schema;
use serde_json::Value;

use crate::harness::Test;
use crate::harness::golden::{self, check_file};

fn doc(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

/// Every direct dependency has a line in docs/decisions.md.
#[test]
fn every_dependency_has_its_reason() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let decisions = read("docs/decisions.md");
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let mut tables: Vec<&toml::Table> = ["dependencies", "dev-dependencies"]
        .iter()
        .map(|name| manifest[*name].as_table().unwrap())
        .collect();
    for (_, target) in manifest["target"].as_table().unwrap() {
        tables.push(target["dependencies"].as_table().unwrap());
    }
    let names = tables.iter().flat_map(|table| table.keys());
    let missing: Vec<_> = names
        .filter(|name| !decisions.contains(&format!("`{name}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "no line in docs/decisions.md: {missing:?}"
    );
}

/// The table of the types of stores is made from the types.
#[test]
fn the_types_of_stores_are_documented() {
    let mut table =
        "| type | what it is | a reference | what it needs | tested with |\n|---|---|---|---|---|\n"
            .to_owned();
    for kind in mcpwrap::testing::store::source_types() {
        let row = format!(
            "| `{}` | {} | `NAME:{}` | {} | {} |\n",
            kind.id, kind.about, kind.example, kind.needs, kind.tested
        );
        table.push_str(&row);
    }
    let path = doc("stores.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("## Types\n\n").unwrap();
    let (_, after) = rest.split_once("\n## ").unwrap();
    check_file(&path, &format!("{before}## Types\n\n{table}\n## {after}"));
}

#[test]
fn the_policy_reference_is_up_to_date() {
    check_file(&doc("policy.md"), &policy_reference());
}

#[test]
fn the_error_reference_is_up_to_date() {
    let mut text = include_str!("docs/errors-head.md").to_owned();
    let remedies = remedies();
    for code in Code::ALL {
        let remedy = remedies.get(code.name()).unwrap_or_else(|| {
            panic!("tests/docs/remedies.txt does not say what to do about `{code}`")
        });
        let meaning = code.meaning().trim();
        write!(
            text,
            "\n## `{code}`\n\n{meaning}\n\n**What to do:** {remedy}\n"
        )
        .unwrap();
    }
    for code in remedies.keys() {
        assert!(
            Code::ALL.iter().any(|known| known.name() == code),
            "no code `{code}`"
        );
    }
    check_file(&doc("errors.md"), &text);
}

#[test]
fn every_command_has_a_description() {
    let test = Test::new();
    visit(
        &test,
        &mcpwrap::testing::cli::Cli::command(),
        &mut Vec::new(),
    );
}

fn visit(test: &Test, command: &clap::Command, path: &mut Vec<String>) {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let name = if path.is_empty() {
        "mcpwrap".to_owned()
    } else {
        path.join("-")
    };
    golden::check(&format!("help/{name}.txt"), test.ok(&args).text());
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        if verb.get_name() != "help" {
            path.push(verb.get_name().to_owned());
            visit(test, verb, path);
            path.pop();
        }
    }
}

/// The remedy for each code: a line `code: text`, continued by lines indented with two spaces.
fn remedies() -> BTreeMap<String, String> {
    let mut remedies = BTreeMap::new();
    let mut last = String::new();
    for line in include_str!("docs/remedies.txt").lines() {
        if let Some(more) = line.strip_prefix("  ") {
            let text: &mut String = remedies.get_mut(&last).unwrap();
            write!(text, "\n{more}").unwrap();
        } else {
            let (code, text) = line.split_once(": ").unwrap();
            code.clone_into(&mut last);
            assert!(
                remedies.insert(last.clone(), text.to_owned()).is_none(),
                "{code} twice"
            );
        }
    }
    remedies
}

/// The tables of a policy, used as headings of the reference.
const TABLES: &[(&str, &str)] = &[
    ("The top of the file", ""),
    ("`[env]`", "EnvTable"),
    ("`[secrets.VARIABLE]`", "SecretTable"),
    ("`[profile.NAME]`", "ProfileTable"),
    ("`[oauth]`", "OAuthTable"),
    ("`[session]`", "SessionRules"),
    ("`[limits]`", "Limits"),
    ("`[package]`", "Package"),
];

fn policy_reference() -> String {
    let schema = json_schema();
    let schema = schema.as_value();
    let mut text = include_str!("docs/policy-head.md").to_owned();
    text.push_str("\n## An example with everything\n\n```toml\n");
    text.push_str(include_str!("golden/policy/ok/all.toml"));
    text.push_str("```\n\n## An example of a remote server\n\n```toml\n");
    text.push_str(include_str!("golden/policy/ok/remote.toml"));
    text.push_str("```\n");
    for (heading, name) in TABLES {
        let table = if name.is_empty() {
            schema
        } else {
            &schema["$defs"][*name]
        };
        let about = table["description"].as_str().unwrap();
        write!(text, "\n## {heading}\n\n{about}\n").unwrap();
        for required in [true, false] {
            for (field, about) in table["properties"].as_object().unwrap() {
                let listed = |list: &Value| {
                    list.as_array()
                        .is_some_and(|l| l.contains(&field.as_str().into()))
                };
                if listed(&table["required"]) == required {
                    write!(
                        text,
                        "\n{}",
                        field_reference(field, about, required, schema)
                    )
                    .unwrap();
                }
            }
        }
    }
    text.push_str("\n## Environment\n\n");
    text.push_str(include_str!("docs/policy-environment.md"));
    let list = |names: &mut dyn Iterator<Item = &'static str>| {
        names
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    write!(
        text,
        "\n**Base list:** {}.\n",
        list(&mut policy::base_names())
    )
    .unwrap();
    write!(
        text,
        "\n**Sealed:** {}.\n",
        list(&mut policy::sealed_names().iter().copied())
    )
    .unwrap();
    write!(
        text,
        "\n**Network settings:** {}, and the same in lower case.\n",
        list(&mut policy::network_names().iter().copied())
    )
    .unwrap();
    text.push_str("\n**Never inherited**, whatever `pass` says:\n\n");
    for (why, names) in policy::never_groups() {
        writeln!(text, "- {why}: {}", list(&mut names.iter().copied())).unwrap();
    }
    text.push_str(include_str!("docs/policy-grants.md"));
    text
}

fn field_reference(field: &str, about: &Value, required: bool, schema: &Value) -> String {
    let kind = kind(about, schema);
    let default = match &about["default"] {
        _ if required => ", required".to_owned(),
        Value::Null | Value::Object(_) => String::new(),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::String(text) if text.is_empty() => String::new(),
        default => format!(", default `{default}`"),
    };
    let meaning = about["description"].as_str().unwrap_or_default();
    let mut text = format!("### `{field}`\n\n*{kind}{default}*\n\n{meaning}\n");
    let choices = choices(about, schema);
    if !choices.is_empty() {
        text.push('\n');
    }
    for choice in choices {
        let about = choice["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ");
        writeln!(text, "- `{}`: {about}", choice["const"]).unwrap();
    }
    text
}

/// The TOML type of a field.
fn kind(about: &Value, schema: &Value) -> String {
    if !choices(about, schema).is_empty() {
        return if about["type"] == "array" {
            "list of choices"
        } else {
            "choice"
        }
        .to_owned();
    }
    if about["$ref"].is_string() || about["anyOf"].is_array() {
        return "table".to_owned();
    }
    let name = match &about["type"] {
        Value::Array(names) => names[0].as_str(),
        name => name.as_str(),
    };
    match name.unwrap() {
        "array" => "list of strings",
        "boolean" => "`true` or `false`",
        "integer" => "number",
        "object" if about["additionalProperties"]["type"] == "string" => "table of strings",
        "object" => "tables by name",
        _ => "string",
    }
    .to_owned()
}

/// The allowed values of a field, if it is limited to some.
fn choices<'a>(about: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let holder = if about["items"].is_object() {
        &about["items"]
    } else {
        about
    };
    let target = holder["$ref"]
        .as_str()
        .and_then(|to| to.strip_prefix("#/$defs/"));
    let choices = target.and_then(|name| schema["$defs"][name]["oneOf"].as_array());
    choices
        .into_iter()
        .flatten()
        .filter(|choice| choice["const"].is_string())
        .collect()
}

/// Each test that docs/threat-model.md names for a promise exists in the file that it names.
#[test]
fn the_promises_of_the_threat_model_have_their_tests() {
    let text = std::fs::read_to_string(doc("threat-model.md")).unwrap();
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| promise"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut found = 0;
    for row in rows {
        let tests = row.split('|').nth(2).unwrap();
        for part in tests.split(';') {
            let files = part.split([':', ',']).map(str::trim);
            let is_source =
                |word: &&str| Path::new(word).extension().is_some_and(|kind| kind == "rs");
            let files: Vec<_> = files.filter(is_source).collect();
            let read = |file: &&str| {
                let path = golden::path("..").join(file);
                std::fs::read_to_string(path).unwrap_or_else(|_| panic!("no tests/{file}"))
            };
            let text: String = files.iter().map(read).collect();
            for name in part.split('`').skip(1).step_by(2) {
                assert!(text.contains(&format!("fn {name}(")), "{files:?}: `{name}`");
            }
            found += files.len();
        }
    }
    assert!(found > 15, "{found}");
}

/// The picture in the README was made by the demo, and shows commands that exist.
#[test]
fn the_picture_shows_commands_that_exist() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        std::fs::read_to_string(path).unwrap()
    };
    assert!(read("README.md").contains("](docs/demo.svg)"));
    let svg = read("docs/demo.svg");
    for place in ["/tmp", "/root", "/home", "/work"] {
        assert!(!svg.contains(place), "the picture has a path: {place}");
    }
    let mark = "<tspan class=\"p\">$</tspan> ";
    let commands = svg.lines().filter_map(|line| line.split_once(mark));
    let mut found = Vec::new();
    for (_, line) in commands {
        let line = line.trim_end_matches("</text>");
        let Some((_, words)) = line.split_once("mcpwrap ") else {
            continue;
        };
        let mut command = mcpwrap::testing::cli::Cli::command();
        for word in words.split(' ') {
            let next = command.find_subcommand(word).cloned();
            if let Some(next) = next {
                command = next;
            } else if let Some(flag) = word.strip_prefix("--") {
                let mut known = command.get_arguments().filter_map(clap::Arg::get_long);
                assert!(known.any(|known| known == flag), "{line}: no `{word}`");
            }
        }
        assert_ne!(command.get_name(), "mcpwrap", "{line}");
        found.push(command.get_name().to_owned());
    }
    for name in ["adopt", "rotate", "who-has", "revoke", "log"] {
        assert!(
            found.iter().any(|known| known == name),
            "no `{name}`: {found:?}"
        );
    }
}
