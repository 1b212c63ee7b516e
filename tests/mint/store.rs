//! Credentials that a store makes: programs that print keys of AWS, and one that speaks the protocol.

use serde_json::json;

use crate::harness::{Test, until};

/// Words of the fake programs; the values of a test contain them.
const KEY: &str = "AKIAZQ7LK2VX9BN4MW6T";
const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYzLq8Vt3Ns5Hd";

/// Adds a store to `config.toml`.
fn add(test: &Test, text: &str) {
    let path = test.root().join("config.toml");
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{old}{text}\n")).unwrap();
}

/// A program that counts its runs and prints keys with a life (seconds).
fn keys(test: &Test, form: &str, life: i64) -> (String, std::path::PathBuf) {
    let count = test.dir.join("runs");
    let body = match form {
        "process" => "printf '{\"Version\":1,%s}\\n' \"$keys\"",
        _ => {
            "printf '{\"Credentials\":{%s},\"AssumedRoleUser\":{\"Arn\":\"arn:aws:sts::1:assumed-role/x/mcpwrap\"}}\\n' \"$keys\""
        }
    };
    let script = format!(
        "#!/bin/sh\nn=$(cat {count} 2>/dev/null | wc -l)\necho \"$*\" >> {count}\n\
         end=$(date -u -d \"@$(($(date +%s) + {life}))\" +%Y-%m-%dT%H:%M:%SZ)\n\
         keys=$(printf '\"AccessKeyId\":\"{KEY}\",\"SecretAccessKey\":\"{SECRET}%s\",\"SessionToken\":\"session-of-{SECRET}\",\"Expiration\":\"%s\"' $n $end)\n{body}\n",
        count = count.display()
    );
    let program = test.program_file("aws", &script);
    test.hide(KEY);
    test.hide(SECRET);
    (program.display().to_string(), count)
}

const VARIABLES: &str = "[secrets.AWS_ACCESS_KEY_ID]\nfrom = \"mint:aws#AccessKeyId\"\n\
     [secrets.AWS_SECRET_ACCESS_KEY]\nfrom = \"mint:aws#SecretAccessKey\"\n\
     [secrets.AWS_SESSION_TOKEN]\nfrom = \"mint:aws#SessionToken\"\n";

#[test]
fn a_role_of_aws_is_made_once_and_its_parts_belong_together() {
    let test = Test::new();
    test.init();
    let (program, runs) = keys(&test, "sts", 3600);
    add(
        &test,
        &format!(
            "[stores.aws]\ntype = \"aws-sts\"\nprogram = \"{program}\"\nregion = \"eu-west-1\""
        ),
    );
    let mint = "[mint.aws]\ntype = \"aws-sts\"\nstore = \"aws\"\npath = \"arn:aws:iam::1:role/reader\"\nlife = \"1h\"\n";
    test.serve("s3", &[], &format!("{VARIABLES}{mint}"));
    let mut run = test.run("s3");
    run.initialize();
    assert_eq!(run.peek("AWS_ACCESS_KEY_ID"), KEY.as_bytes());
    assert_eq!(
        run.peek("AWS_SECRET_ACCESS_KEY"),
        format!("{SECRET}0").as_bytes()
    );
    let asked = std::fs::read_to_string(&runs).unwrap();
    assert_eq!(asked.lines().count(), 1, "{asked}");
    assert!(
        asked.contains("--role-arn arn:aws:iam::1:role/reader --duration-seconds 3600"),
        "{asked}"
    );
    run.close();
    run.end();
    let made = test.audit();
    let made = made
        .iter()
        .find(|record| record["event"] == "mint")
        .unwrap();
    assert!(
        made["detail"]["note"]
            .as_str()
            .unwrap()
            .contains("assumed-role/x"),
        "{made}"
    );
}

#[test]
fn keys_of_a_credential_process_are_replaced_before_they_end() {
    let test = Test::new();
    test.init();
    let (program, runs) = keys(&test, "process", 3);
    add(
        &test,
        &format!(
            "[stores.keys]\ntype = \"credential-process\"\nprogram = \"{program}\"\nargs = [\"get\"]"
        ),
    );
    let mint = "[mint.aws]\ntype = \"credential-process\"\nstore = \"keys\"\npath = \"default\"\nmin_life = \"1s\"\n";
    test.serve("s3", &[], &format!("{VARIABLES}{mint}"));
    let mut run = test.run("s3");
    run.initialize();
    until("the third generation of keys", || {
        run.peek("AWS_SECRET_ACCESS_KEY").ends_with(b"2")
    });
    assert!(
        std::fs::read_to_string(&runs)
            .unwrap()
            .lines()
            .all(|line| line == "get")
    );
    run.close();
    run.end();
}

#[test]
fn a_store_that_cannot_make_it_is_refused_when_the_policy_is_granted() {
    let test = Test::new();
    test.init();
    let (program, _) = keys(&test, "sts", 3600);
    add(
        &test,
        &format!(
            "[stores.aws]\ntype = \"aws-sts\"\nprogram = \"{program}\"\nregion = \"eu-west-1\""
        ),
    );
    let mint = "[mint.aws]\ntype = \"vault\"\nstore = \"aws\"\npath = \"database/creds/ro\"\n";
    let text = format!("version = 1\ncommand = [\"/bin/true\"]\n{VARIABLES}{mint}");
    test.write_policy("s3", &text);
    let refused = test.cli(&["grant", "s3", "--yes"]);
    assert!(
        refused.stderr.contains("error[mint-refused]") && refused.stderr.contains("says `vault`"),
        "{refused}"
    );
    // A value of such a store is refused too.
    test.write_policy(
        "s3",
        "version = 1\ncommand = [\"/bin/true\"]\n[secrets.A]\nfrom = \"aws:x\"\n",
    );
    let refused = test.cli(&["grant", "s3", "--yes"]);
    assert!(
        refused.stderr.contains("only makes credentials"),
        "{refused}"
    );
}

#[test]
fn an_edited_store_needs_a_new_grant() {
    let test = Test::new();
    test.init();
    let (program, _) = keys(&test, "sts", 3600);
    let store = format!(
        "[stores.aws]\ntype = \"aws-sts\"\nprogram = \"{program}\"\nregion = \"eu-west-1\""
    );
    add(&test, &store);
    let mint =
        "[mint.aws]\ntype = \"aws-sts\"\nstore = \"aws\"\npath = \"arn:aws:iam::1:role/reader\"\n";
    test.serve("s3", &[], &format!("{VARIABLES}{mint}"));
    let mut run = test.run("s3");
    run.initialize();
    run.close();
    run.end();
    // Another account, another program, another order of lines, another deadline.
    let path = test.root().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("eu-west-1", "us-east-1")).unwrap();
    let refused = test.run("s3").refused();
    assert!(
        refused
            .stderr
            .contains("error[policy-changed]: cannot start")
            || refused.stderr.contains("store `aws` changed"),
        "{refused}"
    );
    std::fs::write(&path, format!("{text}deadline = \"3s\"\n")).unwrap();
    let mut run = test.run("s3");
    run.initialize();
    let answer = run.request("tools/list", &json!({}));
    assert!(answer.get("result").is_some(), "{answer}");
    run.close();
    run.end();
    let script = std::fs::read_to_string(&program).unwrap();
    std::fs::write(
        &program,
        script.replace("#!/bin/sh", "#!/bin/sh\n# changed"),
    )
    .unwrap();
    let refused = test.run("s3").refused();
    assert!(
        refused.stderr.contains("program of store `aws` changed"),
        "{refused}"
    );
}

/// A program that makes a credential with a lease for the server `s3`, and notes what it is asked. `other`: what
/// it does when asked for something else; `more`: lines of its store.
fn issuer(test: &Test, other: &str, more: &str) {
    test.init();
    let dir = test.dir.display();
    let script = format!(
        "#!/bin/sh\nread -r asked\necho \"$asked\" >>{dir}/asked\ncase \"$asked\" in\n\
         *mint*) echo '{{\"v\":1,\"fields\":{{\"value\":\"{SECRET}\"}},\"lease\":\"lease-1\",\"life\":600}}';;\n\
         *) {other};;\nesac\n"
    );
    test.hide(SECRET);
    let program = test.program_file("issuer", &script);
    add(
        test,
        &format!(
            "[stores.issuer]\ntype = \"exec\"\nprogram = \"{}\"\noutput = \"mcpwrap-store-v1\"\n{more}",
            program.display()
        ),
    );
    let mint = "[mint.key]\ntype = \"exec\"\nstore = \"issuer\"\npath = \"reader\"\n";
    let variable = format!("[secrets.KEY]\nfrom = \"mint:key\"\n{mint}");
    test.serve("s3", &[], &variable);
}

#[test]
fn a_maker_that_hangs_is_waited_for_once() {
    let test = Test::new();
    let hang = test.dir.join("hang");
    let other = format!(
        "[ -e {} ] && exec sleep 600; echo '{{\"v\":1,\"error\":{{\"kind\":\"denied\"}}}}'",
        hang.display()
    );
    issuer(&test, &other, "");
    for _ in 0..3 {
        let mut run = test.run("s3");
        run.initialize();
        run.close();
        run.end();
    }
    let status = test.ok(&["status", "--json"]).json();
    assert_eq!(
        status["credentials"].as_array().unwrap().len(),
        3,
        "{status}"
    );
    std::fs::write(hang, "").unwrap();
    std::fs::remove_file(test.dir.join("asked")).unwrap();
    let ended = test.cli(&["revoke", "s3"]);
    assert_eq!(ended.code, 1, "{ended}");
    let told = ended.stderr.matches("is still valid").count();
    assert_eq!(told, 3, "{ended}");
    let asked = std::fs::read_to_string(test.dir.join("asked")).unwrap();
    assert_eq!(asked.matches("revoke").count(), 1, "{asked}");
}

#[test]
fn the_deadline_of_a_store_is_that_of_its_mints() {
    let test = Test::new();
    issuer(&test, "echo '{\"v\":1}'", "deadline = \"2s\"");
    let mut run = test.run("s3");
    run.initialize();
    run.close();
    run.end();
    let asked = std::fs::read_to_string(test.dir.join("asked")).unwrap();
    let asked: Vec<serde_json::Value> = asked
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ops: Vec<_> = asked
        .iter()
        .map(|one| one["op"].as_str().unwrap())
        .collect();
    assert_eq!(ops, ["mint", "revoke"]);
    for one in &asked {
        assert!(one["deadline_ms"].as_u64().unwrap() <= 2000, "{one}");
    }
}
