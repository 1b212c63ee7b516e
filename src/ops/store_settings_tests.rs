//! Definitions of stores from arguments, and what is refused.

use super::store_settings::{StoreSettings, take_variables};
use crate::dirs::Dirs;
use crate::error::{Code, Error, Result};
use crate::secret::StoreName;
use crate::store::source::SourceType;

const TOKEN: &str = "hvs.CAESIJfVq8kL2mP9xR4tW7yZ1bN3cD5eF6gH8jK0";

const KIND: SourceType = SourceType {
    id: "test",
    about: "a store",
    example: "a/b",
    needs: "`address`",
    tested: "nothing",
    programs: &["none-such", "tool"],
    variables: &[("address", &["BAO_ADDR", "VAULT_ADDR"])],
    sign_in: |_| None,
    sign_in_hint: "",
    check: |_| Ok(()),
    check_place: |_, _| Ok(()),
    program: |_| None,
    shown: |_| Vec::new(),
    open: |_| Err(Error::new(Code::StoreAbsent, "none")),
};

fn table_of(set: &[&str], env: &[&str]) -> Result<toml::Table> {
    let name = StoreName::new("corp").unwrap();
    let own = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    let (set, env) = (own(set), own(env));
    let settings = StoreSettings {
        name: &name,
        kind: "test",
        program: None,
        set: &set,
        env: &env,
    };
    let mut table = toml::Table::new();
    for pair in &set {
        settings.add(&mut table, "--set", pair)?;
    }
    for pair in &env {
        settings.add(&mut table, "--env", pair)?;
    }
    Ok(table)
}

#[test]
fn settings_become_a_table() {
    let table = table_of(
        &[
            "address=https://bao.corp:8200",
            "auth.method=approle",
            "auth.role_id=675a50e7-cfe0-be76-e35f-49ec009731ea",
            "auth.secret_id=secret:vault/secret-id",
            "line=1",
            "project=0123",
            "interactive=true",
            "args=[\"read\", \"--\", \"{path}\"]",
            "note=[unclosed",
        ],
        &["OP_SERVICE_ACCOUNT_TOKEN=secret:op/token"],
    );
    let expected = "address = \"https://bao.corp:8200\"\nline = 1\nproject = \"0123\"\n\
        interactive = true\nargs = [\"read\", \"--\", \"{path}\"]\nnote = \"[unclosed\"\n\
        [auth]\nmethod = \"approle\"\nrole_id = \"675a50e7-cfe0-be76-e35f-49ec009731ea\"\n\
        secret_id = \"secret:vault/secret-id\"\n[env]\nOP_SERVICE_ACCOUNT_TOKEN = \"secret:op/token\"";
    let expected: toml::Table = toml::from_str(expected).unwrap();
    assert_eq!(table.unwrap(), expected);
}

#[test]
fn what_looks_like_a_secret_is_refused_and_not_repeated() {
    let pair = |key: &str| format!("{key}={TOKEN}");
    let list = format!("args=[\"--token\", \"{TOKEN}\"]");
    for (set, env) in [
        (pair("auth.token"), None),
        (list, None),
        ("a=b".to_owned(), Some(pair("VAULT_TOKEN"))),
        (TOKEN.to_owned(), None),
        ("a=b".to_owned(), Some(TOKEN.to_owned())),
        (format!("={TOKEN}"), None),
    ] {
        let env: Vec<&str> = env.iter().map(String::as_str).collect();
        let error = table_of(&[&set], &env).unwrap_err();
        assert_eq!(error.code, Code::Usage, "{error}");
        assert!(!error.to_string().contains("CAESI"), "{error}");
    }
    for twice in [["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a.b=2"]] {
        let error = table_of(&twice, &[]).unwrap_err().to_string();
        assert!(error.contains("set twice"), "{error}");
    }
}

#[test]
fn settings_of_the_terminal_are_taken_once() {
    let variable = |name: &str| match name {
        "VAULT_ADDR" => Some("https://vault.corp:8200".to_owned()),
        _ => None,
    };
    let mut table = toml::Table::new();
    let taken = take_variables(&mut table, &KIND, &variable);
    assert_eq!(taken, [("address", "VAULT_ADDR")]);
    assert_eq!(table["address"].as_str(), Some("https://vault.corp:8200"));
    assert_eq!(take_variables(&mut table, &KIND, &variable), []);
    let secret = |_: &str| Some(TOKEN.to_owned());
    assert_eq!(take_variables(&mut toml::Table::new(), &KIND, &secret), []);
}

#[test]
fn the_program_is_found_and_its_link_kept() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    let (real, link) = (home.join("real"), home.join("link"));
    std::fs::create_dir(&real).unwrap();
    crate::files::replace(&real.join("tool-2"), b"#!/bin/sh\n").unwrap();
    let runs = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(real.join("tool-2"), runs).unwrap();
    symlink("tool-2", real.join("tool")).unwrap();
    symlink(&real, &link).unwrap();
    let name = StoreName::new("corp").unwrap();
    let dirs = Dirs::under(&home);
    let found = |program: Option<&str>| {
        let settings = StoreSettings {
            name: &name,
            kind: "test",
            program,
            set: &[],
            env: &[],
        };
        settings.program(&dirs, &KIND, std::slice::from_ref(&link))
    };
    let tool = real.join("tool");
    assert_eq!(found(None).unwrap(), Some(tool.clone()));
    assert_eq!(found(Some("tool")).unwrap(), Some(tool.clone()));
    let path = link.join("tool").display().to_string();
    assert_eq!(found(Some(&path)).unwrap(), Some(tool));
    for absent in [
        Some("none-such"),
        Some("/none/such"),
        Some(real.to_str().unwrap()),
    ] {
        assert_eq!(found(absent).unwrap_err().code, Code::StoreAbsent);
    }
}
