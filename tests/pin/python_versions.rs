//! Which version of a Python package is pinned: what uvx would take, of those that can be installed here.

use super::python::{SERVER, has, use_uv, uv, which};
use super::registry::{FileNote, Registry};
use super::spoken;
use crate::harness::{Test, policy_text, skip};

/// An index that has versions 1.0 and 2.0 of a server.
struct Index {
    registry: Registry,
    test: Test,
}

impl Index {
    /// With uv; none without it, with a message.
    fn new() -> Option<Self> {
        let bin = uv()?;
        let index = Self::bare();
        use_uv(&index.test, &bin, &index.registry);
        Some(index)
    }

    fn bare() -> Self {
        let test = Test::new();
        test.init();
        let index = Self {
            registry: Registry::start(),
            test,
        };
        for version in ["1.0", "2.0"] {
            index.publish(version);
        }
        index
            .test
            .write_policy("s", &policy_text(&["uvx", "timer"], ""));
        index
    }

    fn publish(&self, version: &str) {
        let server = SERVER.replace("COPY", "real");
        let server = server.replace("'version': '1.0'", &format!("'version': '{version}'"));
        self.registry
            .wheel(&self.test.home, "timer", version, &server);
    }

    /// Pins, checks which version starts, and that nothing newer is offered.
    fn pins(&self, version: &str, parts: &[&str]) {
        let said = self.test.ok(&["pin", "s", "--yes"]);
        let package = format!("package    timer {version} from PyPI");
        for part in parts.iter().chain([&package.as_str()]) {
            assert!(said.text().contains(part), "{part}\n{said}");
        }
        assert_eq!(spoken(self.test.run("s")).1, version);
        let outdated = self.test.ok(&["pin", "--outdated"]);
        assert!(
            outdated.stderr.contains("1 of 1 pinned package up to date"),
            "{outdated}"
        );
    }

    /// The version that uvx starts.
    fn uvx(&self) -> String {
        let mut uvx = self.test.command("uvx");
        spoken(self.test.start(uvx.arg("timer"))).1
    }
}

fn other_python() -> FileNote {
    FileNote {
        requires_python: Some(">=3.99"),
        yanked: None,
    }
}

fn yanked() -> FileNote {
    FileNote {
        requires_python: None,
        yanked: Some("it loses your data"),
    }
}

#[test]
fn a_version_for_another_python_is_not_taken() {
    let Some(index) = Index::new() else { return };
    index
        .registry
        .note("timer-2.0-py3-none-any.whl", other_python());
    index.pins("1.0", &[]);
    assert_eq!(index.uvx(), "1.0");
}

/// Only who names a withdrawn version gets it.
#[test]
fn a_yanked_version_is_not_taken() {
    let Some(index) = Index::new() else { return };
    index.registry.note("timer-2.0-py3-none-any.whl", yanked());
    index.pins("1.0", &[]);
    assert_eq!(index.uvx(), "1.0");

    index
        .test
        .write_policy("s", &policy_text(&["uvx", "timer@2.0"], ""));
    let said = index.test.ok(&["pin", "s", "--yes"]);
    assert!(said.text().contains("timer 2.0 from PyPI"), "{said}");
    assert_eq!(spoken(index.test.run("s")).1, "2.0");
}

/// Building a package runs its code, so the newest one with a wheel is taken, and the other one is named.
#[test]
fn a_version_without_a_wheel_is_passed_over_and_not_built() {
    let Some(index) = Index::new() else { return };
    let mark = index.test.dir.join("built");
    let build = format!("open({:?}, 'w')\n", mark.display().to_string());
    index
        .registry
        .source(&index.test.home, "timer", "3.0", &build);
    index.pins("2.0", &["3.0, which cannot be installed here"]);

    // Without any wheel there is nothing to pin, and that is said.
    for command in [&["uvx", "timer@3.0"][..], &["uvx", "bare"]] {
        index
            .registry
            .source(&index.test.home, "bare", "1.0", &build);
        index.test.write_policy("s", &policy_text(command, ""));
        let refused = index.test.cli(&["pin", "s", "--yes"]);
        assert_eq!(refused.code, 2, "{refused}");
        for part in ["no usable wheels", "`--allow-scripts`"] {
            assert!(refused.stderr.contains(part), "{part}\n{refused}");
        }
    }
    assert!(!mark.exists());
}

/// The same without uv.
#[test]
fn pip_takes_none_of_them_either() {
    if !(has("venv") && has("pip")) {
        return skip("pip", "there is no Python with venv and pip");
    }
    let index = Index::bare();
    let test = &index.test;
    let bin = test.programs();
    std::os::unix::fs::symlink(which("python3"), bin.join("python3")).unwrap();
    test.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    test.set("PIP_INDEX_URL", format!("{}/simple", index.registry.url));
    test.set("PIP_NO_CACHE_DIR", "1");
    for version in ["2.1", "2.2"] {
        index.publish(version);
    }
    index
        .registry
        .note("timer-2.1-py3-none-any.whl", other_python());
    index.registry.note("timer-2.2-py3-none-any.whl", yanked());
    let mark = test.dir.join("built");
    let build = format!("open({:?}, 'w')\n", mark.display().to_string());
    index.registry.source(&test.home, "timer", "3.0", &build);
    index.pins("2.0", &[]);
    assert!(!mark.exists());
}
