//! `adopt` of entries whose values are in another store: `op://…` and programs such as `op run`.

use std::path::PathBuf;

use crate::harness::Test;

const LOGIN: &str = "ops_eyJzaWduSW5BZGRyZXNzIjoibXkuMXBhc3N3b3JkLmNvbSIsInVzZXJBdXRoIjp7fX0";

/// A home with programs on PATH that give the value `value-of:REFERENCE`.
fn with_programs(names: &[&str]) -> Test {
    let test = Test::new();
    test.init();
    for name in names {
        let script = "#!/bin/sh\n[ \"$1\" = read ] || exit 1\nfor last; do :; done\nprintf 'value-of:%s' \"$last\"\n";
        test.program_file(name, script);
    }
    test.set(
        "PATH",
        format!("{}:/usr/bin:/bin", test.programs().display()),
    );
    test
}

fn write(test: &Test, servers: &str) -> PathBuf {
    let file = test.home.join(".cursor/mcp.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(
        &file,
        format!("{{\n  \"mcpServers\": {{\n{servers}\n  }}\n}}\n"),
    )
    .unwrap();
    file
}

fn read(path: impl Into<PathBuf>) -> String {
    std::fs::read_to_string(path.into()).unwrap()
}

fn policy(test: &Test, server: &str) -> String {
    read(test.root().join(format!("policies/{server}.toml")))
}

#[test]
fn op_run_and_literal_references_become_references() {
    let test = with_programs(&["op"]);
    let variables = test.dir.join("op.env");
    std::fs::write(
        &variables,
        "GITHUB_TOKEN=\"op://Work/GitHub/token\"\nREGION=eu # here\n",
    )
    .unwrap();
    let server = test.program_file("server", "#!/bin/sh\necho \"its key: $API_KEY\" >&2\n");
    let server = server.display().to_string();
    let entries = format!(
        "    \"gh\": {{ \"command\": \"op\", // x\n      \"args\": [ \"run\", \"--env-file={}\",  \"--\", \"/bin/cat\", \"-u\" ],\n      \
         \"env\": {{ \"OP_SERVICE_ACCOUNT_TOKEN\": \"{LOGIN}\", \"EXTRA\": \"1\", \"OTHER\": \"op://Work/GitHub/other\" }} }},\n    \
         \"lit\": {{ \"command\": \"{server}\", \"env\": {{ \"API_KEY\": \"op://Home/Api/key\" }} }}",
        variables.display()
    );
    let file = write(&test, &entries);
    let before = read(&file);
    let dry = test.ok(&["adopt", "--dry-run"]);
    assert!(
        dry.text()
            .contains("OP_SERVICE_ACCOUNT_TOKEN = \"secret:op/service-account-token\""),
        "{dry}"
    );
    assert_eq!(read(&file), before);
    let ended = test.ok(&["adopt", "--yes"]);
    assert!(!format!("{dry}{ended}").contains(LOGIN), "{ended}");
    let after = read(&file);
    assert!(
        !after.contains("op://") && !after.contains("\"op\"") && after.contains("// x"),
        "{after}"
    );
    assert!(
        after.contains("\"run\", \"gh\", \"--\", \"/bin/cat\", \"-u\""),
        "{after}"
    );
    assert!(after.contains("\"EXTRA\": \"1\""), "{after}");
    let gh = policy(&test, "gh");
    for line in [
        "command = [\"/bin/cat\", \"-u\"]",
        "from = \"op://Work/GitHub/token\"",
        "from = \"op://Work/GitHub/other\"",
        "set = { REGION = \"eu\" }",
        "pass = [\"EXTRA\"]",
    ] {
        assert!(gh.contains(line), "{gh}");
    }
    assert!(policy(&test, "lit").contains("from = \"op://Home/Api/key\""));
    let config = read(test.root().join("config.toml"));
    assert!(
        config.contains("[stores.op]") && config.contains("env = { OP_SERVICE_ACCOUNT_TOKEN = "),
        "{config}"
    );
    let list = test.ok(&["policy", "list", "--json"]).json();
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|one| one["status"] == "granted"),
        "{list}\n{ended}"
    );
    let run = test.run_with("lit", &["--", &server]).end();
    assert!(run.stderr.contains("its key: [secret"), "{run}");
    let again = test.ok(&["adopt", "--yes"]);
    assert!(
        again.stderr.contains("nothing to adopt (2 already adopted"),
        "{again}"
    );
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(read(&file), before);
}

#[test]
fn what_cannot_be_taken_over_is_left_with_the_reason() {
    let test = with_programs(&[]);
    let entries = "    \"a\": { \"command\": \"op\", \"args\": [\"run\", \"--\", \"/bin/cat\"], \"env\": { \"A\": \"op://V/I/F\" } },\n    \
        \"b\": { \"command\": \"bws\", \"args\": [\"run\", \"--\", \"/bin/cat\"] },\n    \
        \"c\": { \"command\": \"op\", \"args\": [\"run\", \"--session\", \"x\", \"--\", \"/bin/cat\"] },\n    \
        \"d\": { \"command\": \"/bin/cat\", \"env\": { \"A\": \"op://V/$I/F\" } },\n    \
        \"e\": { \"command\": \"doppler\", \"args\": [\"run\", \"--\", \"npx\", \"-y\", \"none-such\"] },\n    \
        \"f\": { \"command\": \"op\", \"args\": [\"run\", \"--env-file=x.env\", \"--\", \"/bin/cat\"] }";
    let file = write(&test, entries);
    let before = read(&file);
    // No secret is in plaintext, so nothing was missed.
    let ended = test.ok(&["adopt", "--yes"]);
    assert_eq!(read(&file), before);
    for (name, why) in [
        ("a", "no program `op` in your PATH"),
        ("b", "finds a value by its ID only"),
        ("c", "`--session` of `op run` is not understood"),
        ("d", "has a variable in its reference"),
        ("e", "not known which the server reads"),
        ("f", "working directory decides which file"),
    ] {
        let line = ended
            .stderr
            .lines()
            .find(|line| line.contains(&format!("skipped `{name}`")));
        assert!(
            line.is_some_and(|line| line.contains(why)),
            "{name}: {ended}"
        );
    }
    assert!(!read(test.root().join("config.toml")).contains("stores"));
}

#[test]
fn a_secret_beside_it_is_still_moved() {
    let test = with_programs(&[]);
    let key = "7c9e6679-7425-40de-944b-e07fc1f90ae7";
    let entries = format!(
        "    \"a\": {{ \"command\": \"/bin/cat\", \"env\": {{ \"A\": \"op://V/I/F\", \"API_KEY\": \"{key}\" }} }}"
    );
    let file = write(&test, &entries);
    let before = read(&file);
    let ended = test.ok(&["adopt", "--yes"]);
    assert!(ended.text().contains("stay as they are"), "{ended}");
    assert!(read(&file).contains("op://V/I/F") && !read(&file).contains(key));
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(read(&file), before);
}

#[test]
fn a_store_of_the_user_is_used_and_a_second_one_of_its_type_is_not_added() {
    let test = with_programs(&["op"]);
    test.ok(&[
        "store",
        "add",
        "work",
        "--type",
        "op",
        "--set",
        "account=acme",
        "--yes",
    ]);
    let entries = "    \"a\": { \"command\": \"op\", \"args\": [\"--account\", \"acme\", \"run\", \"--\", \"/bin/cat\"], \
        \"env\": { \"A\": \"op://V/I/F\" } },\n    \
        \"b\": { \"command\": \"op\", \"args\": [\"--account\", \"other\", \"run\", \"--\", \"/bin/cat\"], \
        \"env\": { \"A\": \"op://V/I/F\" } }";
    write(&test, entries);
    let config = read(test.root().join("config.toml"));
    let ended = test.ok(&["adopt", "--yes"]);
    assert!(
        ended.stderr.contains("`op://` would lead to two stores"),
        "{ended}"
    );
    assert_eq!(read(test.root().join("config.toml")), config);
    assert!(policy(&test, "a").contains("from = \"op://V/I/F\""));
}

/// The programs say which values there are, or the catalog and the code of the server do.
#[test]
fn wrappers_of_other_stores() {
    let test = with_programs(&["doppler", "infisical", "sops"]);
    let secrets = test.dir.join("secrets.enc.yaml");
    let text = "GITHUB_TOKEN: ENC[AES256_GCM,data:x,type:str]\nDB_URL: ENC[AES256_GCM,data:y,type:str]\n\
        sops:\n    version: 3.11.0\n";
    std::fs::write(&secrets, text).unwrap();
    let server = test.program_file(
        "server.sh",
        "#!/bin/sh\necho \"$GITHUB_PERSONAL_ACCESS_TOKEN\"\n",
    );
    let entries = format!(
        "    \"dop\": {{ \"command\": \"doppler\", \"args\": [\"run\", \"-p\", \"web\", \"-c\", \"dev\", \"--\", \"npx\", \"-y\", \
         \"@modelcontextprotocol/server-github@2025.4.8\"] }},\n    \
         \"inf\": {{ \"command\": \"infisical\", \"args\": [\"run\", \"--projectId\", \"p1\", \"--env=dev\", \"--path=/mcp\", \"--\", \"{}\"], \
         \"env\": {{ \"INFISICAL_TOKEN\": \"{LOGIN}\" }} }},\n    \
         \"sop\": {{ \"command\": \"sops\", \"args\": [\"exec-env\", \"{}\", \"/bin/cat -u\"] }}",
        server.display(),
        secrets.display()
    );
    let file = write(&test, &entries);
    let before = read(&file);
    let ended = test.cli(&["adopt", "--yes", "--no-pin"]);
    assert!(
        ended.code <= 1 && !ended.stderr.contains("skipped"),
        "{ended}"
    );
    let after = read(&file);
    assert!(
        after.contains("\"run\", \"sop\", \"--\", \"/bin/cat\", \"-u\"]"),
        "{after}\n{ended}"
    );
    for (server, line) in [
        ("dop", "[secrets.GITHUB_PERSONAL_ACCESS_TOKEN]"),
        ("dop", "from = \"doppler:GITHUB_PERSONAL_ACCESS_TOKEN\""),
        (
            "inf",
            "from = \"infisical:/mcp/GITHUB_PERSONAL_ACCESS_TOKEN\"",
        ),
        (
            "sop",
            &format!("from = \"sops:{}#DB_URL\"", secrets.display()),
        ),
    ] {
        assert!(
            policy(&test, server).contains(line),
            "{}\n{ended}",
            policy(&test, server)
        );
    }
    let config = read(test.root().join("config.toml"));
    for line in [
        "project = \"web\"",
        "config = \"dev\"",
        "environment = \"dev\"",
        "\"secret:infisical/token\"",
    ] {
        assert!(config.contains(line), "{config}");
    }
    test.ok(&["adopt", "--undo", "--yes"]);
    assert_eq!(read(&file), before);
}

/// Its values have IDs, and names that can occur twice. The commands in the reason make the policy.
#[test]
fn bws_run_is_left_with_the_commands_that_refer_to_its_values() {
    let test = with_programs(&["bws"]);
    let package = "@modelcontextprotocol/server-github@2025.4.8";
    let entry = format!(
        "    \"gh\": {{ \"command\": \"bws\", \"args\": [\"run\", \"--project-id\", \"p-1\", \"--\", \"npx\", \"-y\", \
         \"{package}\"] }}"
    );
    let file = write(&test, &entry);
    let before = read(&file);
    let ended = test.ok(&["adopt", "--yes"]);
    assert_eq!(read(&file), before);
    for command in [
        "`mcpwrap store add`",
        "`bws secret list p-1 | jq -r '.[] | .key + \" \" + .id'`",
        "`mcpwrap policy new gh --secret GITHUB_PERSONAL_ACCESS_TOKEN=STORE:ID -- COMMAND`",
    ] {
        assert!(ended.stderr.contains(command), "{command}: {ended}");
    }
    let login = "BWS_ACCESS_TOKEN=secret:bws/token";
    let add = ["store", "add", "bws", "--type", "bws", "--env", login];
    test.ok(&[&add[..], &["--yes"]].concat());
    let secret = "GITHUB_PERSONAL_ACCESS_TOKEN=bws:382580ab-1368-4e85-bfa3-b02e01400c9f";
    let new = ["policy", "new", "gh", "--secret", secret, "--"];
    test.ok(&[&new[..], &["npx", "-y", package]].concat());
    let shown = test.ok(&["policy", "show", "gh"]);
    assert!(
        shown.text().contains("Bitwarden Secrets Manager"),
        "{shown}"
    );
}
