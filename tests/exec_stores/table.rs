//! Each preset in each case: what its program prints, and what comes of it.

use super::fake::FakeStore;
use super::hostile::is_gone;
use super::rows::Preset;
use super::{rows_managers, rows_services};
use crate::harness::{Test, until};

/// What a program printed before it failed; no error may have it.
const PRINTED: &str = "hunter2-was-printed";

fn presets() -> impl Iterator<Item = &'static Preset> {
    rows_managers::ROWS.iter().chain(rows_services::ROWS)
}

fn each(act: impl Fn(&Preset, &FakeStore<'_>)) {
    let test = Test::new();
    for preset in presets() {
        let dir = test.programs().join(preset.id);
        std::fs::create_dir_all(dir.join("web")).unwrap();
        for file in ["web/github.gpg", "file.yaml"] {
            std::fs::write(dir.join(file), "").unwrap();
        }
        let settings = preset.settings.replace("@DIR@", dir.to_str().unwrap());
        let store = FakeStore::new(&test, preset.id, &settings).secret("bws", "token-of-the-store");
        act(preset, &store);
    }
}

#[test]
fn every_preset_is_in_the_table() {
    let listed: Vec<_> = presets().map(|preset| preset.id).collect();
    let all = mcpwrap::testing::store::source_types();
    // These have tests of their own, or keep no values.
    let others = ["vault", "aws-sts", "credential-process"];
    let programs = all.filter(|kind| !others.contains(&kind.id));
    assert_eq!(programs.map(|kind| kind.id).collect::<Vec<_>>(), listed);
}

#[test]
fn values_arrive_as_they_are() {
    let values = [
        "tok_hB3xKw8s",
        "two\nlines",
        "ends with one\n",
        "ends with two\n\n",
        "crlf\r\nend",
        " spaces \t",
        "quotes \" ' \\ and ü",
        "",
    ];
    each(|preset, store| {
        for value in values {
            if value.is_empty() && matches!(preset.id, "fnox" | "infisical") {
                continue;
            }
            // `bare` programs are told to add no line end, so one that ends the value belongs to it.
            if preset.id == "gopass" && value.ends_with('\n') {
                continue;
            }
            store.answer(0, (preset.prints)(value).as_bytes(), "a warning\n");
            assert_eq!(
                store.text(preset.place).as_deref(),
                Ok(value),
                "{}",
                preset.id
            );
            assert_eq!(store.asked().len(), 1);
        }
    });
}

#[test]
fn failures_are_told_apart() {
    each(|preset, store| {
        for (code, stdout, stderr, expected) in preset.failures {
            store.answer(*code, stdout.as_bytes(), stderr);
            let found = store.text(preset.place);
            assert_eq!(found, Err(*expected), "{}: {stdout}{stderr}", preset.id);
        }
    });
}

#[test]
fn what_is_no_value_is_refused() {
    each(|preset, store| {
        store.test.hide(PRINTED);
        let huge = (preset.prints)(&"x".repeat(1 << 20));
        let refused = |expected: &str| {
            let error = store.get(preset.place).unwrap_err();
            assert_eq!(error.code.name(), expected, "{}", preset.id);
            let text = format!("{error}{error:?}");
            assert!(!text.contains(PRINTED), "{}: {text}", preset.id);
            assert_eq!(error.store.as_deref(), Some("store"));
        };
        store.answer(0, huge.as_bytes(), "");
        refused("store-answer-invalid");
        // Printed, and then it failed.
        let printed = (preset.prints)(PRINTED);
        store.answer(99, printed.as_bytes(), PRINTED);
        refused("store-failed");
        std::fs::write(store.dir.join("out"), printed).unwrap();
        store.act("cat \"$d/out\"; cat \"$d/out\" >&2; kill -9 $$");
        refused("store-failed");
        if !preset.is_raw {
            for garbage in [&b"\xff\x00\xfe{"[..], b"<html>", b"{}", b"[]", b""] {
                store.answer(0, garbage, "");
                let code = store.get(preset.place).unwrap_err().code.name();
                let expected = ["store-answer-invalid", "secret-not-found"];
                assert!(
                    expected.contains(&code),
                    "{}: {code} for {garbage:?}",
                    preset.id
                );
            }
        }
        // A prompt has no terminal to ask on.
        store.act("echo 'Password:' >/dev/tty || exit 99; read x </dev/tty; echo \"$x\"");
        refused("store-failed");
    });
}

#[test]
fn one_that_hangs_is_ended() {
    let test = Test::new();
    let mut store = FakeStore::new(&test, "exec", "args = [\"{path}\"]");
    store.deadline = std::time::Duration::from_millis(200);
    store.act("trap '' TERM; sleep 600 & echo $! >\"$d/below\"; wait; wait");
    assert_eq!(store.text("a"), Err("store-timeout"));
    until("what is below it ends", || is_gone(&store.file("below")));
}
