//! Programs that do what they should not, and programs that anybody could replace.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::fake::FakeStore;
use crate::harness::{TOKEN, Test, until};

fn store(test: &Test) -> FakeStore<'_> {
    FakeStore::new(test, "exec", "args = [\"{path}\"]")
}

/// Whether a process has ended.
pub(super) fn is_gone(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    status.is_ok_and(|status| status.contains(") Z "))
        || !Path::new("/proc").join(pid.trim()).exists()
}

#[test]
fn a_daemon_that_holds_the_pipes_is_not_waited_for() {
    let test = Test::new();
    let store = store(&test);
    store.act(
        "setsid sh -c 'echo $$ >\"$0\"; exec sleep 600' \"$d/daemon\" & \
               while ! [ -s \"$d/daemon\" ]; do :; done; echo V",
    );
    let began = Instant::now();
    assert_eq!(store.text("a"), Ok("V".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(20));
    let daemon = store.file("daemon").trim().parse().unwrap();
    let daemon = nix::unistd::Pid::from_raw(daemon);
    nix::sys::signal::kill(daemon, nix::sys::signal::Signal::SIGKILL).unwrap();
    // One that forks and stays is ended with it.
    store.act("sleep 600 & echo $! >\"$d/daemon\"; echo V");
    assert_eq!(store.text("a"), Ok("V".to_owned()));
    until("the child of the program ends", || {
        is_gone(&store.file("daemon"))
    });
}

#[test]
fn endless_output_is_cut() {
    let test = Test::new();
    let mut store = store(&test);
    store.act("exec yes");
    assert_eq!(store.text("a"), Err("store-answer-invalid"));
    store.deadline = Duration::from_millis(300);
    store.act("exec yes >&2");
    assert_eq!(store.text("a"), Err("store-timeout"));
    store.act("grow() { grow & grow; }; grow");
    assert_eq!(store.text("a"), Err("store-timeout"));
    // A check does not start this program.
    let hint = &store.get("a").unwrap_err().hints[0];
    assert!(hint.contains("program` yourself"), "{hint}");
    store.act("kill -9 $$");
    let hint = &store.get("a").unwrap_err().hints[0];
    assert!(hint.contains("program` yourself"), "{hint}");
}

#[test]
fn what_it_says_is_only_for_the_check_of_the_store() {
    let test = Test::new();
    let store = store(&test);
    store.answer(1, b"", &format!("{}{TOKEN}\n", "x".repeat(70_000)));
    let place = mcpwrap::testing::reference::StorePlace::new("a").unwrap();
    store.with(|source, deadline| {
        let error = source
            .get_many(&[place], deadline)
            .pop()
            .unwrap()
            .unwrap_err();
        assert!(!format!("{error}{error:?}").contains(TOKEN));
        let said = source.diagnostics().unwrap();
        assert!(said.ends_with(TOKEN) && said.len() <= 64 << 10);
    });
    test.hide(TOKEN);
    std::fs::remove_file(store.dir.join("err")).unwrap();
}

#[test]
fn only_a_program_that_nobody_else_can_replace_is_run() {
    let test = Test::new();
    let store = store(&test);
    store.act("echo V");
    let program = store.dir.join("program");
    let set =
        |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    for (path, mode) in [(&program, 0o775), (&program, 0o757), (&store.dir, 0o777)] {
        set(path, mode);
        let error = store.get("a").unwrap_err();
        assert_eq!(error.code.name(), "store-program-refused");
        assert!(error.hints[0].contains("chmod go-w"), "{error}");
        assert!(store.asked().is_empty());
        set(path, 0o755);
    }
    set(&program, 0o644);
    assert_eq!(store.text("a"), Err("store-program-refused"));
    set(&program, 0o755);
    assert_eq!(store.text("a"), Ok("V".to_owned()));
    std::fs::write(&program, "#!/nowhere/interpreter\n").unwrap();
    assert_eq!(store.text("a"), Err("store-program-refused"));
    std::fs::remove_file(&program).unwrap();
    assert_eq!(store.text("a"), Err("store-absent"));
    let temporary = test.dir.join("program");
    std::fs::write(&temporary, "#!/bin/sh\necho V\n").unwrap();
    set(&temporary, 0o755);
    let inside = FakeStore::of_program(&test, "exec", &temporary, "args = [\"{path}\"]");
    assert_eq!(inside.text("a"), Err("store-program-refused"));
}

/// Both sessions read; never at the same time.
#[test]
fn one_run_of_a_store_at_a_time() {
    let test = Test::new();
    let store = store(&test);
    store.act("mkdir \"$d/alone\" || exit 9; sleep 0.1; rmdir \"$d/alone\"; echo V");
    let (definition, kind) = (&store.definition, store.kind);
    let home = &test.home;
    std::thread::scope(|scope| {
        let read = || {
            let name = mcpwrap::testing::secret::StoreName::new("store").unwrap();
            let dirs = mcpwrap::testing::dirs::Dirs::under(home);
            let (secrets, network) = Default::default();
            let setup = mcpwrap::testing::store::StoreSetup {
                name: &name,
                definition,
                secrets: &secrets,
                dirs: &dirs,
                network: &network,
                is_interactive: false,
                waits: None,
            };
            let source = (kind.open)(&setup).unwrap();
            let place = mcpwrap::testing::reference::StorePlace::new("a").unwrap();
            let deadline = Instant::now() + crate::harness::DEADLINE;
            source.get_many(&[place], deadline).pop().unwrap().is_ok()
        };
        let all: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
        assert!(all.into_iter().all(|one| one.join().unwrap()));
    });
}

#[test]
fn waiting_for_another_session_does_not_count() {
    let test = Test::new();
    let mut store = store(&test);
    store.act("echo V");
    assert_eq!(store.text("a"), Ok("V".to_owned()));
    store.deadline = Duration::from_secs(3);
    let lock = std::fs::File::open(test.home.join("run/stores/store.lock")).unwrap();
    lock.lock().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let end = Instant::now() + Duration::from_millis(3300);
            while Instant::now() < end {
                std::thread::park_timeout(Duration::from_millis(50));
            }
            drop(lock);
        });
        assert_eq!(store.text("a"), Ok("V".to_owned()));
    });
}
