//! The formats of the report: JSON, SARIF, the table; and the generated page of documentation.

use std::fmt::Write as _;
use std::path::Path;

use mcpwrap::testing::check::{OTHER_RULES, RULES};
use serde_json::{Value, json};

use super::{case, report};
use crate::harness::Test;
use crate::harness::golden::{self, check_file};

#[test]
fn the_json_is_as_documented() {
    let (test, args) = case("plaintext-secret/bad");
    let (report, _) = report(&test, &args);
    golden::check("check/report.json", &format!("{report:#}\n"));
    let documented = include_str!("../docs/checks-tail.md");
    for part in [&report, &report["checks"][0], &report["findings"][0]] {
        for field in part.as_object().unwrap().keys() {
            assert!(
                documented.contains(&format!("`{field}`")),
                "`{field}` is not documented"
            );
        }
    }
}

#[test]
fn the_table_is_what_a_person_reads() {
    let (test, args) = case("plaintext-secret/bad");
    golden::check("check/table.txt", test.cli(&args).text());
}

#[test]
fn a_report_on_a_terminal_has_colours_and_fits() {
    let (test, args) = case("insecure-transport/bad");
    test.set("TERM", "xterm");
    let shown = |test: &Test, args: &[&str]| {
        let mut terminal = test.terminal(args);
        terminal.expect("checks passed");
        terminal.end().1
    };
    let screen = shown(&test, &args);
    assert!(screen.contains("\u{1b}["), "{screen}");
    assert!(
        screen.contains("run `mcpwrap check --no-limit` to see all"),
        "{screen}"
    );
    assert!(
        screen.lines().count() <= 40,
        "{} lines",
        screen.lines().count()
    );
    test.set("NO_COLOR", "1");
    assert!(!shown(&test, &args).contains("\u{1b}["));
    let all = shown(&test, &[&args[..], &["--no-limit"]].concat());
    assert!(!all.contains("to see all"), "{all}");
}

/// The schema comes from the OASIS repository.
#[test]
fn sarif_is_valid_by_its_schema() {
    let schema: Value = serde_json::from_str(include_str!("../support/sarif-2.1.0.json")).unwrap();
    let mut compiler = boon::Compiler::new();
    let mut schemas = boon::Schemas::new();
    compiler.enable_format_assertions();
    compiler.add_resource("sarif.json", schema).unwrap();
    let index = compiler.compile("sarif.json", &mut schemas).unwrap();
    for check in RULES {
        for kind in ["bad", "ok"] {
            let (test, args) = case(&format!("{}/{kind}", check.name));
            let ended = test.cli(&[&args[..], &["--sarif"]].concat());
            let sarif: Value = serde_json::from_str(ended.text()).unwrap();
            if let Err(error) = schemas.validate(&sarif, index) {
                panic!("{} {kind}: {error:#}", check.name);
            }
            upload_takes(&sarif);
        }
    }
    let wrong = json!({"version": "2.1.0", "runs": [{"tool": {}}]});
    assert!(
        schemas.validate(&wrong, index).is_err(),
        "the schema rejects an invalid file"
    );
}

/// What an upload to code scanning needs beyond the schema.
fn upload_takes(sarif: &Value) {
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), RULES.len() + OTHER_RULES.len());
    for rule in rules {
        let score: f64 = rule["properties"]["security-severity"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((0.0..=10.0).contains(&score));
        assert!(rule["helpUri"].as_str().unwrap().starts_with("https://"));
        assert!(!rule["help"]["markdown"].as_str().unwrap().is_empty());
        let tags = rule["properties"]["tags"].as_array().unwrap();
        assert!(
            tags.contains(&"security".into()),
            "code scanning shows no severity without it"
        );
        let known = mcpwrap::testing::check::rule(rule["id"].as_str().unwrap());
        for tag in known.iter().flat_map(|rule| rule.tags()) {
            assert!(tags.contains(&tag.into()), "{tags:?}");
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(
            !place["artifactLocation"]["uri"]
                .as_str()
                .unwrap()
                .is_empty()
        );
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        let print = &result["partialFingerprints"]["primaryLocationLineHash"];
        assert!(
            seen.insert(print.as_str().unwrap().to_owned()),
            "{print} twice"
        );
    }
}

#[test]
fn the_page_of_the_checks_is_in_step() {
    let mut text = include_str!("../docs/checks-head.md").to_owned();
    for rule in RULES {
        let (name, title, severity) = (rule.name, rule.title, rule.severity.name());
        let tags = rule.tags().join("`, `");
        writeln!(
            text,
            "| [`{name}`](#{name}) | `{tags}` | {severity} | {title} |"
        )
        .unwrap();
    }
    for rule in RULES {
        let parts = [
            "**Detects** ",
            "**Why:** ",
            "**Remediation:** ",
            "**Limitations:** ",
        ];
        for part in parts {
            assert!(rule.about.contains(part), "{}: no {part}", rule.name);
        }
        write!(text, "\n## {}\n\n{}", rule.name, rule.about).unwrap();
    }
    text.push_str(include_str!("../docs/checks-tail.md"));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
    check_file(&page, &text);
}
