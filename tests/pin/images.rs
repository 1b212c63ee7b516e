//! Container images, without a container engine: a fake program prints its arguments.

use crate::harness::{Test, fake_server, policy_text};

/// A `docker` that knows one digest, and starts the fake server for `run`.
fn docker(test: &Test, digest: &str) {
    let text = format!(
        "#!/bin/sh\ncase \"$1\" in\n\
         image) echo '[\"mcp/s@{digest}\"]';;\n\
         run) echo \"$@\" > \"$HOME/arguments\"; echo \"$A\" > \"$HOME/value\"; exec '{}';;\n\
         *) echo unknown >&2; exit 1;;\nesac\n",
        fake_server().display()
    );
    test.program_file("docker", &text);
    test.set(
        "PATH",
        format!("{}:/usr/bin:/bin", test.programs().display()),
    );
}

/// The digest is resolved and written; `-e NAME=value` becomes `-e NAME`.
#[test]
fn an_image_is_started_by_its_digest_and_with_no_value_in_its_arguments() {
    let test = Test::new();
    test.init();
    let digest = format!("sha256:{}", "a1".repeat(32));
    docker(&test, &digest);
    let command = [
        "docker",
        "run",
        "-i",
        "--rm",
        "-e",
        "A=visible to all",
        "mcp/s:1",
        "serve",
    ];
    test.write_policy("s", &policy_text(&command, ""));
    let ended = test.ok(&["pin", "s", "--yes"]);
    assert!(
        ended
            .text()
            .contains("the container engine checks the digest"),
        "{ended}"
    );
    let mut run = test.run("s");
    assert!(run.initialize().get("result").is_some());
    assert_eq!(run.finish().code, 0);
    let heard = |name: &str| std::fs::read_to_string(test.home.join(name)).unwrap();
    // The labels and the file with its ID come first.
    let arguments = heard("arguments");
    let words = arguments.split_whitespace();
    let own = |word: &&str| word.starts_with("--label=mcpwrap.") || word.starts_with("--cidfile=");
    assert_eq!(words.clone().filter(own).count(), 4, "{arguments}");
    let rest: Vec<_> = words.filter(|word| !own(word)).collect();
    assert_eq!(
        rest.join(" "),
        format!("run -i --rm -e A mcp/s@{digest} serve")
    );
    assert_eq!(heard("value"), "visible to all\n");

    // If the engine does not know the digest, the user can pass it.
    test.write_policy("s", &policy_text(&["podman", "run", "-i", "mcp/s"], ""));
    let ended = test.cli(&["pin", "s", "--yes"]);
    assert!(
        ended.stderr.contains("program `podman` not found"),
        "{ended}"
    );
    let other = format!("sha256:{}", "b2".repeat(32));
    test.program_file("podman", "#!/bin/sh\nexit 1\n");
    test.ok(&["pin", "s", "--to", &other, "--yes"]);
    let text = std::fs::read_to_string(test.root().join("policies/s.toml")).unwrap();
    assert!(text.contains(&other), "{text}");
}
