//! The settings of npm that a company made for a whole machine.

use super::Npm;

/// Their file is found by the directory of npm itself, or by `PREFIX`. A registry of the company and its CA are
/// there.
#[test]
fn the_settings_of_the_machine_count() {
    let Some(npm) = Npm::new() else { return };
    let prefix = npm.test.dir.join("prefix");
    std::fs::create_dir_all(prefix.join("etc")).unwrap();
    let text = format!("registry={}\n", npm.registry.url);
    std::fs::write(prefix.join("etc/npmrc"), text).unwrap();
    npm.test.set("PREFIX", &prefix);
    // npm does not look at empty variables.
    npm.test.set("npm_config_registry", "");
    npm.policy(&["npx", "-y", "@s/server@1.0.0"]);
    npm.test.ok(&["pin", "s", "--yes"]);
    let (name, version, _) = npm.start();
    assert_eq!((name.as_str(), version.as_str()), ("real", "1.0.0"));
}
