//! How often `parse` and `transport` agree with people who labelled real configs by hand.
//!
//! The labelled configs are not part of the repository: they stand beside the checkout. Without
//! them the test says so and passes, unless `MCPWRAP_TEST_REQUIRE` has the word `corpus`.
#![expect(
    clippy::print_stderr,
    clippy::use_debug,
    reason = "a skip and a disagreement are loud"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Transport, parse, transport};

fn corpus() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("shared/corpus"))
        .find(|dir| dir.is_dir())
}

/// JSON without comments and trailing commas.
fn strict(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '"' {
            out.push(c);
            while let Some(c) = chars.next() {
                out.push(c);
                match c {
                    '\\' => out.extend(chars.next()),
                    '"' => break,
                    _ => {}
                }
            }
        } else if c == '/' && chars.peek() == Some(&'/') {
            chars.by_ref().find(|c| *c == '\n');
        } else if c == '/' && chars.peek() == Some(&'*') {
            let mut last = ' ';
            chars
                .by_ref()
                .skip(1)
                .find(|c| std::mem::replace(&mut last, *c) == '*' && *c == '/');
        } else {
            if matches!(c, ']' | '}') && out.trim_end().ends_with(',') {
                out.truncate(out.trim_end().len() - 1);
            }
            out.push(c);
        }
    }
    out
}

fn read(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    match path.extension()?.to_str()? {
        "toml" => toml::from_str::<toml::Value>(&text)
            .ok()
            .and_then(|v| serde_json::to_value(v).ok()),
        "json" | "jsonc" => serde_json::from_str(&strict(text.trim_start_matches('\u{feff}'))).ok(),
        _ => None,
    }
}

/// The words of an entry, in any of the shapes that clients know.
fn words(entry: &Value) -> Vec<String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let list = |value: &Value| value.as_array().map(|all| all.iter().map(text).collect());
    let command = &entry["command"];
    let nested = command.is_object();
    let args = if nested {
        &command["args"]
    } else {
        &entry["args"]
    };
    let program = if nested { &command["path"] } else { command };
    let mut words = list(program).unwrap_or_else(|| vec![text(program)]);
    words.extend(list(args).unwrap_or_default());
    words
}

#[test]
fn agrees_with_the_labels_of_real_configs() {
    let Some(corpus) = corpus() else {
        let required = option_env!("MCPWRAP_TEST_REQUIRE").unwrap_or_default();
        assert!(
            !required.contains("corpus"),
            "the labelled configs are not beside the checkout"
        );
        eprintln!("SKIPPED: the labelled configs are not beside the checkout");
        return;
    };
    let (mut pins, mut ways, mut skipped) = ((0, 0), (0, 0), 0);
    let labels = std::fs::read_to_string(corpus.join("labels.jsonl")).unwrap();
    for label in labels
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
    {
        let file = label["file"].as_str().unwrap();
        let kind = label["kind"].as_str().unwrap_or_default();
        let keys = label["ptr"].as_array().cloned().unwrap_or_default();
        let read = read(&corpus.join("files").join(file));
        let (Some(config), "stdio" | "remote") = (read, kind) else {
            skipped += 1;
            continue;
        };
        let servers = keys
            .iter()
            .fold(&config, |value, key| &value[key.as_str().unwrap()]);
        let server = label["server"].as_str().unwrap();
        let entry = &servers[server];
        let (pin, way) = if kind == "stdio" {
            (parse(&words(entry)).pin.label(), Transport::Stdio)
        } else {
            let url = ["url", "serverUrl", "httpUrl", "uri"]
                .iter()
                .find_map(|k| entry[k].as_str());
            ("n/a", transport(url.unwrap_or_default()))
        };
        for (count, got, expected) in [
            (&mut pins, pin, &label["pin"]),
            (&mut ways, way.label(), &label["transport"]),
        ] {
            count.1 += 1;
            count.0 += usize::from(got == expected);
            if got != expected {
                eprintln!("{file} {server}: {got}, labelled {expected}");
            }
        }
    }
    eprintln!("pin {pins:?}, transport {ways:?}, {skipped} not read (invalid, builtin or YAML)");
    for (right, all) in [pins, ways] {
        assert!(all > 300 && right * 100 >= all * 99, "{right} of {all}");
    }
}
