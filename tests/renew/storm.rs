//! Many rotations under load.

use std::collections::VecDeque;

use serde_json::json;

use super::{NEW, OLD, rotate, started, until_it_has};
use crate::harness::{Test, until};

/// The zombies of this test, and the open descriptors.
fn left_in(pid: nix::unistd::Pid) -> (usize, usize) {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let zombies = children
        .unwrap_or_default()
        .split_whitespace()
        .filter(|child| {
            std::fs::read_to_string(format!("/proc/{child}/stat"))
                .is_ok_and(|stat| stat.contains(") Z "))
        })
        .count();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    (zombies, open)
}

/// Four callers, five rotations, at least 2,000 calls: none fails.
#[test]
fn rotations_under_load_lose_no_call() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    let values: Vec<String> = (0..5).map(|n| format!("{NEW}-{n}")).collect();
    let (mut open, mut calls, mut answered) = (VecDeque::new(), 0_u32, 0_u32);
    let mut rotations = Vec::new();
    while calls < 2_000 || rotations.len() < values.len() {
        while open.len() < 4 {
            calls += 1;
            let arguments = json!({"text": calls.to_string()});
            let id = run.ask(
                "tools/call",
                &json!({"name": "echo", "arguments": arguments}),
            );
            open.push_back((id, calls.to_string()));
        }
        let (id, text) = open.pop_front().unwrap();
        let answer = run.answer(id);
        assert_eq!(answer["result"]["content"][0]["text"], text, "{answer}");
        answered += 1;
        if answered.is_multiple_of(400) && rotations.len() < values.len() {
            let value = &values[rotations.len()];
            test.hide(value);
            let mut command = test.command(test.program());
            let mut cli = test.start(command.args(["secret", "rotate", "t/token", "--from-stdin"]));
            cli.send_raw(value.as_bytes());
            cli.close();
            rotations.push(cli);
        }
    }
    for (id, text) in open {
        assert_eq!(run.answer(id)["result"]["content"][0]["text"], text);
    }
    for rotation in rotations {
        assert_eq!(rotation.end().code, 0);
    }
    let last = run.peek("TOKEN");
    assert!(last.starts_with(b"new-") || last == OLD.as_bytes());
    until("one of the values", || {
        run.peek("TOKEN").starts_with(b"new-")
    });
    run.finish();
}

/// 100 rotations within a second cause at most two renewals.
#[test]
fn a_hundred_rotations_cause_two_renewals() {
    let test = Test::new();
    let mut run = started(&test, &[], "");
    rotate(&test, NEW);
    let index = test.root().join("state/secrets.toml");
    let text = std::fs::read_to_string(&index).unwrap();
    let mark = "fingerprint = \"";
    let at = text.find(mark).unwrap() + mark.len();
    for n in 0..100 {
        // Like `secret rotate`, but faster than starting a hundred programs.
        let mut other = text.clone();
        if n < 99 {
            other.replace_range(at..at + 4, &format!("{:04x}", n + 7));
        }
        let beside = index.with_extension("new");
        std::fs::write(&beside, other).unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&beside, private).unwrap();
        std::fs::rename(&beside, &index).unwrap();
    }
    until_it_has(&mut run, NEW);
    // Longer than the quiet time before a renewal.
    run.call("wait", &json!({"ms": 1500}));
    run.finish();
    let renewals = test
        .events()
        .iter()
        .filter(|event| *event == "renew")
        .count();
    assert!(renewals <= 2, "{renewals} renewals");
}

/// The resident memory of a process (KiB).
fn memory(pid: nix::unistd::Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let text = line.unwrap().trim().trim_end_matches(" kB");
    text.parse().unwrap()
}

/// More than the allocator's caches, which grow by up to 9 MiB where threads wait for a processor; less than a leak
/// of 50 KiB per renewal.
const GROWTH_KIB_MAX: u64 = 16 << 10;

#[test]
fn four_hundred_renewals_leak_nothing() {
    let test = Test::new();
    let mut run = started(&test, &[], "[session]\nrenew = \"manual\"");
    let renew = |run: &mut crate::harness::Run<'_>, n: usize| {
        if n.is_multiple_of(10) {
            rotate(&test, &format!("{NEW}-{n}"));
        }
        test.ok(&["renew", "fake"]);
        run.peek("TOKEN");
    };
    // The last replaced server may still be exiting.
    let settled = |run: &crate::harness::Run<'_>, open_max: usize| {
        until(&format!("no zombie, {open_max} descriptors"), || {
            let (zombies, open) = left_in(run.pid());
            let others = crate::harness::process::of_test(&test.dir);
            let servers = others
                .iter()
                .filter(|(_, line)| line.contains("fake-server"));
            zombies == 0 && open <= open_max && servers.count() == 1
        });
        left_in(run.pid()).1
    };
    // As many as there are former values that stay masked.
    for n in 0..20 {
        renew(&mut run, n);
    }
    let (open, before) = (settled(&run, usize::MAX), memory(run.pid()));
    for n in 20..400 {
        renew(&mut run, n);
    }
    // Fewer are left if the first look still counted a server on its way out.
    assert!(settled(&run, open) <= open);
    let after = memory(run.pid());
    assert!(
        after < before + GROWTH_KIB_MAX,
        "{before} KiB, then {after} KiB"
    );
    run.finish();
}
