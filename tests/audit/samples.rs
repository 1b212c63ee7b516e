//! One record of each event, as the commands and the supervisor write them.

use mcpwrap::testing::audit::{
    ClientIdentity, Destination, Detail, Event, NewRecord, Outcome, RunId, SecretUse,
};
use mcpwrap::testing::secret::{Keys, Secret, ServerName};

/// The keys that the golden lines are sealed with.
pub(crate) fn keys() -> Keys {
    Keys::from_master(&Secret::new(b"the key of the golden lines".to_vec()))
}

fn run() -> RunId {
    serde_json::from_str("\"00f1e2d3c4b5a697\"").unwrap()
}

fn client() -> ClientIdentity {
    ClientIdentity {
        name: Some("claude-code".to_owned()),
        version: Some("2.1.0".to_owned()),
        pid: Some(4711),
        exe: Some("/usr/bin/node".to_owned()),
    }
}

fn secret(variable: Option<&str>) -> SecretUse {
    SecretUse {
        name: "github/token".parse().unwrap(),
        variable: variable.map(str::to_owned),
        fingerprint: Some(keys().fingerprint(&Secret::new(b"made-up value".to_vec()))),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "fields of a detail are optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn of_run(event: Event, outcome: Outcome) -> NewRecord {
    NewRecord::new(event, outcome)
        .server(&server())
        .run(&run())
        .policy(&"5e".repeat(32))
        .client(&client())
}

fn by_user(event: Event) -> NewRecord {
    NewRecord::new(event, Outcome::Ok).detail(Detail {
        by: text("terminal"),
        ..Detail::default()
    })
}

fn server() -> ServerName {
    ServerName::new("github").unwrap()
}

/// The release of a secret into the config that it was adopted from.
pub(crate) fn release_by_undo() -> NewRecord {
    NewRecord::release(
        secret(None),
        Destination::Config("~/.cursor/mcp.json"),
        by_user(Event::Release).detail,
    )
    .server(&server())
}

/// A record of this event; the match keeps the list complete.
pub(crate) fn sample(event: Event) -> NewRecord {
    let none = Detail::default;
    match event {
        Event::Launch => of_run(event, Outcome::Intent).detail(Detail {
            program: text("npx"),
            path: text("/usr/bin/npx"),
            digest: Some("d1".repeat(32)),
            generation: Some(1),
            ..none()
        }),
        Event::Inject => of_run(event, Outcome::Intent)
            .secret(secret(Some("GITHUB_PERSONAL_ACCESS_TOKEN")))
            .detail(Detail {
                to: text("env"),
                generation: Some(1),
                ..none()
            }),
        Event::Refuse => of_run(event, Outcome::Refused).reason("policy-changed"),
        Event::Exit => of_run(event, Outcome::Ok).detail(Detail {
            pid: Some(4712),
            generation: Some(1),
            code: Some(0),
            duration_ms: Some(3_600_000),
            ..none()
        }),
        Event::Suspend => of_run(event, Outcome::Ok).reason("revoked"),
        Event::Renew => of_run(event, Outcome::Ok).reason("rotated").detail(Detail {
            generation: Some(2),
            duration_ms: Some(840),
            ..none()
        }),
        Event::Call => of_run(event, Outcome::Failed).detail(Detail {
            method: text("tools/call"),
            tool: text("create_issue"),
            id: text("17"),
            error: Some(-32_603),
            duration_ms: Some(120),
            ..none()
        }),
        _ => sample_of_a_command(event),
    }
}

fn sample_of_a_command(event: Event) -> NewRecord {
    let none = Detail::default;
    match event {
        Event::Release => NewRecord::release(
            secret(Some("GITHUB_PERSONAL_ACCESS_TOKEN")),
            Destination::Provider("api.github.com"),
            by_user(event).detail,
        )
        .server(&server())
        .policy(&"5e".repeat(32)),
        Event::Network => by_user(event),
        Event::Grant => by_user(event).server(&server()).policy(&"5e".repeat(32)),
        Event::Revoke => NewRecord::new(event, Outcome::Ok)
            .server(&server())
            .detail(Detail {
                note: text("laptop lost"),
                agent: text("CLAUDECODE"),
                ..none()
            }),
        Event::SecretSet | Event::SecretRotate | Event::SecretRm => {
            by_user(event).secret(secret(None))
        }
        Event::Adopt | Event::Undo => NewRecord::new(event, Outcome::Ok)
            .server(&server())
            .client(&ClientIdentity {
                name: text("cursor"),
                ..ClientIdentity::default()
            })
            .detail(Detail {
                file: text("~/.cursor/mcp.json"),
                by: text("yes"),
                ..none()
            }),
        Event::Config => by_user(event).reason("agents"),
        Event::Login | Event::Logout => {
            let by = by_user(event).detail;
            by_user(event).server(&server()).detail(Detail {
                host: text("https://auth.example.com"),
                note: (event == Event::Login).then(|| "read write".to_owned()),
                ..by
            })
        }
        Event::Refresh => NewRecord::new(event, Outcome::Ok).server(&server()),
        Event::Pin => NewRecord::new(event, Outcome::Ok)
            .server(&server())
            .detail(Detail {
                package: text("npm:@modelcontextprotocol/server-github@2025.4.8"),
                ..none()
            }),
        Event::Log => NewRecord::new(event, Outcome::Ok)
            .reason("repaired")
            .detail(Detail {
                file: text("2026-11-22.jsonl"),
                bytes: Some(114),
                ..none()
            }),
        Event::Mint => of_run(event, Outcome::Ok)
            .reason("made")
            .secret(SecretUse {
                name: "mint:db".parse().unwrap(),
                variable: None,
                fingerprint: None,
            })
            .detail(Detail {
                note: text("store `corp`: 3600 s"),
                ..none()
            }),
        other => panic!("no sample of {other}"),
    }
}
