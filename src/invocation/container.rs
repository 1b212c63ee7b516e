//! Which engine a container client talks to: sealed as variables, so that neither the client's
//! environment nor a later `docker context use` chooses another one.
//!
//! Sources: docker(1) and "docker context" for the order (`DOCKER_HOST`, `DOCKER_CONTEXT`, the
//! current context); podman(1) for `CONTAINER_HOST` and `CONTAINER_CONNECTION`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Variables that choose an engine and how it is reached.
const DOCKER: &[&str] = &[
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_CONFIG",
];
const PODMAN: &[&str] = &["CONTAINER_HOST", "CONTAINER_CONNECTION", "CONTAINER_SSHKEY"];

/// The variables that seal the engine of a container client; empty for any other program.
pub(super) fn engine(
    program: &str,
    home: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let taken = |names: &[&str]| -> BTreeMap<String, String> {
        names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), variable(name)?)))
            .collect()
    };
    match program {
        "docker" | "nerdctl" => {
            let mut env = taken(DOCKER);
            if !env.contains_key("DOCKER_HOST") && !env.contains_key("DOCKER_CONTEXT") {
                let config = env
                    .get("DOCKER_CONFIG")
                    .map_or_else(|| home.join(".docker"), Into::into);
                env.insert("DOCKER_CONTEXT".to_owned(), current_context(&config));
            }
            env
        }
        "podman" => taken(PODMAN),
        _ => BTreeMap::new(),
    }
}

/// The name of docker's current context.
fn current_context(config: &Path) -> String {
    let name = std::fs::read(config.join("config.json"))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .and_then(|config| Some(config.get("currentContext")?.as_str()?.to_owned()));
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::replace;

    #[test]
    fn the_engine_is_the_one_of_the_terminal() {
        let home = tempfile::tempdir().unwrap();
        let none = |_: &str| None;
        let context = |name: &str| BTreeMap::from([("DOCKER_CONTEXT".to_owned(), name.to_owned())]);
        assert_eq!(engine("docker", home.path(), &none), context("default"));
        let config = home.path().join(".docker/config.json");
        replace(&config, br#"{"auths":{},"currentContext":"colima"}"#).unwrap();
        assert_eq!(engine("docker", home.path(), &none), context("colima"));
        let host = |name: &str| (name == "DOCKER_HOST").then(|| "ssh://build".to_owned());
        let sealed = engine("docker", home.path(), &host);
        assert_eq!(sealed["DOCKER_HOST"], "ssh://build");
        assert_eq!(sealed.len(), 1);
        assert!(engine("podman", home.path(), &none).is_empty());
        assert!(engine("node", home.path(), &host).is_empty());
    }
}
