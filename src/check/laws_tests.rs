//! Properties of each report, on damaged files: no panic, no secret in the output, locations inside
//! the file.

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{ConfigFile, Facts, Ignores, json, run, sarif};

const TOKEN: &str = "ghp_mV3kQ9zXw2bN7rTy5pLs8dFg4hJc6aEu1iOq";

const FILES: &[(&str, &str)] = &[
    (
        "a.json",
        "{\n // mcpwrap-ignore unpinned-server: é why\n \"mcpServers\": {\"x é\": {\"command\": \"npx\", \"args\": [\"-y\", \"s@TOKEN\", \"--key=TOKEN\", \"http://u:TOKEN@a.example/\"],\n \"env\": {\"T\": \"TOKEN\", \"DEBUG\": \"*\"}}, \"TOKEN\": {\"url\": \"ws://b.example?k=TOKEN\"}}} // TOKEN\n",
    ),
    (
        "a.toml",
        "# mcpwrap-ignore plaintext-secret\n[mcp_servers.\"x\"]\ncommand = \"docker\"\nargs = [\"run\", \"-e\", \"T=TOKEN\", \"i:TOKEN\"]\nenv = { T = \"é TOKEN\" }\n",
    ),
    (
        "a.yaml",
        "mcpServers:\n  - name: TOKEN\n    command: uvx\n    args: [--from, git+https://TOKEN@h.example/s, s]\n    env: {T: TOKEN} # é\n",
    ),
];

/// A text with a piece taken out and another put in.
fn damaged(text: &str, at: usize, length: usize, new: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let start = at % (chars.len() + 1);
    let end = (start + length).min(chars.len());
    let (head, tail) = (&chars[..start], &chars[end..]);
    head.iter()
        .copied()
        .chain(new.chars())
        .chain(tail.iter().copied())
        .collect()
}

proptest! {
    #[test]
    fn no_report_has_a_secret_in_it(
        which in 0..FILES.len(),
        cuts in prop::collection::vec((any::<usize>(), 0..40_usize, "[\\[\\]{}\",:=#/\né\u{1b} a-z]{0,6}"), 0..4),
    ) {
        let (name, text) = FILES[which];
        let mut text = text.replace("TOKEN", TOKEN);
        for (at, length, new) in &cuts {
            text = damaged(&text, *at, *length, new);
        }
        let lines = text.lines().count() + 1;
        let file = ConfigFile::new(name.to_owned(), None, true, text.into_bytes());
        let mut facts = Facts::new(jiff::civil::date(2026, 11, 23));
        facts.files.push(file);
        let report = run(&facts, &Ignores::default());
        for finding in &report.findings {
            prop_assert!(finding.location.line <= lines);
        }
        let said = format!("{}{}", json(&report), sarif(&report));
        // A damaged token may no longer be one; whatever is a token must not be in the output.
        prop_assert_eq!(crate::detect::known_tokens(&said), Vec::<&str>::new());
    }
}
