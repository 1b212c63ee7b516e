//! The life of a grant, and what is refused.

use super::*;
use crate::files;
use crate::policy::load::parse_text;
use crate::secret::Secret;

fn keys(master: &str) -> Keys {
    Keys::from_master(&Secret::new(master.into()))
}

fn policy(description: &str) -> Policy {
    let text = format!("version = 1\ncommand = [\"x\"]\ndescription = \"{description}\"\n");
    parse_text(&text).unwrap()
}

fn runs(path: &str) -> Invocation {
    Invocation {
        path: vec![path.into()],
        env: [("HOME".to_owned(), "/root".to_owned())].into(),
        ..Invocation::default()
    }
}

fn code(dirs: &Dirs, policy: &Policy, keys: &Keys) -> Option<Code> {
    find(dirs, policy)
        .and_then(|grant| grant.verify(keys))
        .err()
        .map(|error| error.code)
}

#[test]
fn the_life_of_a_grant() {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::under(home.path());
    let (first, second) = (policy("one"), policy("two"));
    let ours = keys("ours");
    assert_eq!(code(&dirs, &first, &ours), Some(Code::NotGranted));

    grant(&dirs, &first, &runs("/bin/sh"), &ours, By::Terminal).unwrap();
    assert_eq!(code(&dirs, &first, &ours), None);
    assert_eq!(code(&dirs, &first, &keys("other")), Some(Code::GrantBroken));
    assert_eq!(code(&dirs, &second, &ours), Some(Code::PolicyChanged));

    revoke(&dirs, &first.server, Some("leaked")).unwrap();
    assert_eq!(code(&dirs, &first, &ours), Some(Code::Revoked));
    let record = record(&dirs, &first.server, Some(&ours)).unwrap().unwrap();
    let last = LastPolicy::Sealed(first.text.clone(), Box::new(runs("/bin/sh")));
    assert_eq!(record.policy, last);
    assert!(
        find(&dirs, &first)
            .unwrap_err()
            .to_string()
            .contains("leaked")
    );

    grant(&dirs, &second, &runs("/bin/sh"), &ours, By::Yes).unwrap();
    assert_eq!(code(&dirs, &second, &ours), None);
}

#[test]
fn a_grant_that_was_changed_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::under(home.path());
    let (policy, keys) = (policy("one"), keys("ours"));
    grant(&dirs, &policy, &runs("/bin/sh"), &keys, By::Yes).unwrap();
    let path = path(&dirs, &policy.server);
    let text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("by = \"yes\"", "by = \"terminal\""),
        ("at = \"2", "at = \"1"),
        ("seal = \"", "seal = \"0"),
        ("version = 2\nstate", "version = 3\nstate"),
        ("path = [\"/bin/sh", "path = [\"/x"),
        ("HOME = \"/root", "HOME = \"/tmp"),
        ("state", "stat"),
        ("seal", "seel"),
    ] {
        assert!(text.contains(from), "{from}");
        files::replace(&path, text.replacen(from, to, 1).as_bytes()).unwrap();
        assert_eq!(
            code(&dirs, &policy, &keys),
            Some(Code::GrantBroken),
            "{from}"
        );
    }
}

#[test]
fn a_grant_of_the_first_version_counts_as_changed() {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::under(home.path());
    let (policy, keys) = (policy("one"), keys("ours"));
    grant(&dirs, &policy, &runs("/bin"), &keys, By::Yes).unwrap();
    let path = path(&dirs, &policy.server);
    let text = std::fs::read_to_string(&path).unwrap();
    let (first, _) = text.split_once("[invocation]").unwrap();
    let old = first.replacen("version = 2", "version = 1", 1);
    files::replace(&path, old.as_bytes()).unwrap();
    assert_eq!(code(&dirs, &policy, &keys), Some(Code::PolicyChanged));
    assert_eq!(status(&dirs, &policy), GrantStatus::Changed);
}

#[test]
fn a_managed_policy_needs_no_grant_and_can_be_revoked() {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::under(home.path());
    let managed = Policy {
        tier: Tier::Managed,
        ..policy("one")
    };
    let keys = keys("ours");
    assert_eq!(code(&dirs, &managed, &keys), None);
    revoke(&dirs, &managed.server, None).unwrap();
    assert_eq!(code(&dirs, &managed, &keys), Some(Code::Revoked));
    grant(&dirs, &managed, &runs("/bin/sh"), &keys, By::Terminal).unwrap();
    assert_eq!(code(&dirs, &managed, &keys), None);
}

#[test]
fn revoking_works_on_a_file_that_cannot_be_read() {
    let home = tempfile::tempdir().unwrap();
    let dirs = Dirs::under(home.path());
    let policy = policy("one");
    files::replace(&path(&dirs, &policy.server), b"\xff").unwrap();
    assert_eq!(code(&dirs, &policy, &keys("ours")), Some(Code::GrantBroken));
    revoke(&dirs, &policy.server, None).unwrap();
    assert_eq!(code(&dirs, &policy, &keys("ours")), Some(Code::Revoked));
}
