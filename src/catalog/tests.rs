//! The files of the catalog, and the policies that start from them.

use super::*;
use crate::policy::template::is_variable_name;

#[test]
fn every_file_is_in_the_table_and_complete() {
    let mut files: Vec<String> =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/policies"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
    files.sort();
    let table: Vec<String> = FILES.iter().map(|(id, _)| format!("{id}.toml")).collect();
    assert_eq!(files, table);
    assert!(table.len() >= 40);
    let mut packages = std::collections::BTreeSet::new();
    for (id, text) in FILES {
        let shipped = read(id, text).unwrap_or_else(|error| panic!("{id}: {error}"));
        assert_eq!(shipped.version, 1, "{id}");
        assert!(
            text.starts_with("# ") && !shipped.packages.is_empty(),
            "{id}"
        );
        for package in &shipped.packages {
            assert_eq!(of_package(package).map(|known| known.id), Some(*id));
            assert!(
                packages.insert(package.clone()),
                "{id}: {package} is in two files"
            );
        }
        let mut marked = std::collections::BTreeSet::new();
        for package in shipped.marked() {
            let is_own = shipped.packages.contains(package);
            assert!(is_own && marked.insert(package), "{id}: {package}");
        }
        let main = package_of(&shipped.command);
        assert!(
            shipped.command.is_empty() || shipped.packages.contains(&main),
            "{id}: {main}"
        );
        assert!(
            shipped.secrets.keys().all(|name| is_variable_name(name)),
            "{id}"
        );
        if let Some(probe) = &shipped.probe {
            assert!(shipped.secrets.contains_key(&probe.secret), "{id}");
            let request = probe.request.split(' ').collect::<Vec<_>>();
            assert!(matches!(request.first(), Some(&("GET" | "POST"))), "{id}");
            assert!(
                request[1].starts_with("https://") && !request[1].contains("{secret}"),
                "{id}"
            );
            assert!(
                probe
                    .headers
                    .iter()
                    .any(|header| header.contains("{secret}")),
                "{id}"
            );
        }
    }
}

/// The package that a command starts.
fn package_of(command: &[String]) -> String {
    package::parse(command).package.unwrap_or_default()
}

#[test]
fn a_policy_starts_from_what_is_known() {
    let github = of_id("github").unwrap();
    let mut draft = Draft {
        command: github.command.clone(),
        ..Draft::default()
    };
    github.add_secrets(&mut draft);
    github.describe(&mut draft);
    let text = draft.text(&crate::secret::ServerName::new("github").unwrap());
    for line in [
        "# Hosts contacted at run time: api.github.com, github.com, *.githubusercontent.com, api.githubcopilot.com.",
        "[secrets.GITHUB_PERSONAL_ACCESS_TOKEN]",
        "# A fine-grained token for selected repositories is enough for most work.",
        "# A value starts with ghp_ or github_pat_ or gho_.",
        "# Create a new one at https://github.com/settings/tokens",
        "from = \"secret:github/token\"",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    for shipped in all().filter(|shipped| !shipped.command.is_empty()) {
        let mut draft = Draft {
            command: shipped.command.clone(),
            ..Draft::default()
        };
        shipped.add_secrets(&mut draft);
        shipped.describe(&mut draft);
        let server = crate::secret::ServerName::new(shipped.id).unwrap();
        let dirs = crate::dirs::Dirs::under(std::path::Path::new("/nowhere"));
        let policy = draft.check(&dirs, &server);
        assert!(policy.is_ok(), "{}: {policy:?}", shipped.id);
    }
}

#[test]
fn found_by_package_host_and_flag() {
    let stripe = of_package("@stripe/mcp").unwrap();
    assert_eq!(
        stripe.secret_for_flag("--api-key").unwrap().0,
        "STRIPE_SECRET_KEY"
    );
    assert_eq!(of_host("mcp.exa.ai").unwrap().id, "exa");
    assert_eq!(of_host("docs.mcp.cloudflare.com").unwrap().id, "cloudflare");
    assert!(of_package("unknown").is_none());
}

#[test]
fn remote_servers_make_valid_policies() {
    let dirs = crate::dirs::Dirs::under(std::path::Path::new("/nowhere"));
    let names: Vec<&str> = remote_names().collect();
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len(), "{names:?}");
    assert!(names.len() >= 18);
    for name in names {
        let (shipped, known) = remote(name).unwrap();
        let server = crate::secret::ServerName::new(name).unwrap();
        for oauth in [false, true] {
            if oauth && !known.oauth {
                continue;
            }
            let mut draft = Draft::default();
            draft.remote = Some(shipped.add_remote(known, oauth, &mut draft));
            shipped.describe(&mut draft);
            let policy = draft.check(&dirs, &server);
            let policy = policy.unwrap_or_else(|error| panic!("{name}: {error}"));
            let host = policy.remote.as_ref().unwrap().host();
            assert_eq!(
                of_host(&host).map(|found| found.id),
                Some(shipped.id),
                "{name}"
            );
            assert_eq!(
                policy.secrets.is_empty(),
                policy.remote.unwrap().oauth.is_some()
            );
        }
    }
}
