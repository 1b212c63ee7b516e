//! Nothing that cannot be written stands between `revoke` and a server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::no_server_is_alive;
use crate::harness::{DEADLINE, Ended, Test, process, skip};
use crate::renew::started;

fn grant_of(test: &Test, server: &str) -> PathBuf {
    test.root().join(format!("state/grants/{server}.toml"))
}

/// Revokes a running server, and sees it dead and refused.
#[track_caller]
fn is_revoked(test: &Test, make: impl FnOnce(&Path), exit_code: i32) -> Ended {
    let run = started(test, &["ignore=term,hup,int,eof", "child"], "");
    let server = run.server(1);
    make(&grant_of(test, "fake"));
    let ended = test.cli(&["revoke", "fake"]);
    assert_eq!(ended.code, exit_code, "{ended}");
    assert!(!process::alive(server), "{ended}");
    no_server_is_alive(test);
    drop(run);
    ended
}

#[track_caller]
fn does_not_start(test: &Test) {
    let mut other = test.run("fake");
    let answer = other.initialize();
    assert!(answer["error"].is_object(), "{answer}");
    other.finish();
}

#[test]
fn a_directory_that_others_can_write_does_not_save_the_server() {
    let test = Test::new();
    let open = |grant: &Path| {
        fs::set_permissions(grant.parent().unwrap(), Permissions::from_mode(0o777)).unwrap();
    };
    let ended = is_revoked(&test, open, 0);
    assert!(ended.stderr.contains("was erased"), "{ended}");
    does_not_start(&test);
}

#[test]
fn a_directory_in_the_place_of_the_grant_does_not_save_the_server() {
    let test = Test::new();
    let replace = |grant: &Path| {
        fs::remove_file(grant).unwrap();
        fs::create_dir(grant).unwrap();
        fs::write(grant.join("x"), "").unwrap();
    };
    let ended = is_revoked(&test, replace, 0);
    assert!(
        ended
            .stderr
            .contains("cannot be read, so it allows nothing"),
        "{ended}"
    );
    does_not_start(&test);
}

/// A grant that cannot be read ends its server also when nobody says `revoke`.
#[test]
fn a_grant_that_cannot_be_read_ends_its_server_and_comes_back() {
    let test = Test::new();
    let run = started(&test, &[], "");
    let (server, grant) = (run.server(1), grant_of(&test, "fake"));
    let aside = grant.with_extension("aside");
    fs::rename(&grant, &aside).unwrap();
    fs::create_dir(&grant).unwrap();
    process::wait_for_end(server, DEADLINE);
    fs::remove_dir(&grant).unwrap();
    fs::rename(&aside, &grant).unwrap();
    run.server(2);
    run.finish();
}

#[test]
fn without_a_name_what_runs_is_listed_and_goes_on() {
    let test = Test::new();
    let ended = test.cli(&["revoke"]);
    assert_eq!(ended.code, 2, "{ended}");
    let run = started(&test, &[], "");
    let server = run.server(1);
    let ended = test.cli(&["revoke"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.text().contains("running: fake"), "{ended}");
    assert!(ended.stderr.contains("mcpwrap revoke --all"), "{ended}");
    assert!(process::alive(server));
    run.finish();
}

#[test]
fn an_unknown_name_does_not_spare_the_others() {
    let test = Test::new();
    let run = started(&test, &[], "");
    let server = run.server(1);
    let ended = test.cli(&["revoke", "fakee", "fake"]);
    assert_eq!(ended.code, 2, "{ended}");
    assert!(ended.text().contains("revoked: fake"), "{ended}");
    assert!(ended.stderr.contains("policy-not-found"), "{ended}");
    assert!(!process::alive(server), "{ended}");
    drop(run);
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

fn mount(args: &[&str]) -> bool {
    let status = Command::new("mount").args(args).status();
    status.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_does_not_save_the_server() {
    let test = Test::new();
    let mut mounted = None;
    let fill = |grant: &Path| {
        let dir = grant.parent().unwrap();
        let text = fs::read(grant).unwrap();
        let to = dir.to_str().unwrap();
        if !mount(&["-t", "tmpfs", "-o", "size=8k,mode=0700", "tmpfs", to]) {
            return;
        }
        mounted = Some(Mounted(dir.to_path_buf()));
        fs::write(grant, text).unwrap();
        fs::set_permissions(grant, Permissions::from_mode(0o600)).unwrap();
        // Until nothing more fits.
        let rest = dir.join("rest");
        drop(fs::write(&rest, [b'x'; 4096]));
        drop(fs::write(dir.join("more"), [b'x'; 4096]));
    };
    let ended = is_revoked(&test, fill, 0);
    if mounted.is_none() {
        return skip("root", "a small file system can only be mounted as root");
    }
    assert!(ended.stderr.contains("was erased"), "{ended}");
    does_not_start(&test);
}

/// The grant stays good, so its supervisor has no reason to end anything: it is ended, too.
#[test]
fn a_grant_that_nothing_can_change_does_not_save_the_server() {
    let test = Test::new();
    let mut mounted = None;
    let fix = |grant: &Path| {
        let to = grant.to_str().unwrap();
        if mount(&["--bind", to, to]) && mount(&["-o", "remount,bind,ro", to]) {
            mounted = Some(Mounted(grant.to_path_buf()));
        }
    };
    let root = nix::unistd::geteuid().is_root();
    let ended = is_revoked(&test, fix, i32::from(root));
    if mounted.is_none() {
        return skip("root", "a file can only be mounted as root");
    }
    assert!(ended.stderr.contains("the grant is still valid"), "{ended}");
    let records = test.audit();
    let revoked = records.iter().rfind(|record| record["event"] == "revoke");
    assert_eq!(revoked.unwrap()["outcome"], "failed", "{records:?}");
}

/// What is said about the grant and about the record does not contradict.
#[test]
fn a_home_that_is_read_only_is_not_called_revoked() {
    let test = Test::new();
    let mut mounted = None;
    let fix = |_: &Path| {
        let to = test.root().display().to_string();
        if mount(&["--bind", &to, &to]) && mount(&["-o", "remount,bind,ro", &to]) {
            mounted = Some(Mounted(test.root()));
        }
    };
    let root = nix::unistd::geteuid().is_root();
    let ended = is_revoked(&test, fix, i32::from(root));
    if mounted.is_none() {
        return skip("root", "a directory can only be mounted as root");
    }
    assert!(
        ended.stderr.contains("the grant is still valid")
            && ended.stderr.contains("the audit log has no record of it")
            && !ended.stderr.contains("are revoked"),
        "{ended}"
    );
}
