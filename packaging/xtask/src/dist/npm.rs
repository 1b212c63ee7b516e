//! The packages of npm: one with a launcher, and one with the program for each system, of which npm
//! installs the right one as an optional dependency. Nothing runs at the installation.

use serde_json::{Map, Value, json};

use super::about::About;
use super::archive::{Member, tarball};
use super::content::{Content, LICENCES};
use super::targets::{NAME, NPM, TARGETS, Target};
use crate::shell::{Done, read, root};

const LAUNCHER: &str = "packaging/npm/mcpwrap.js";

/// The name of the package with the program.
pub fn platform(target: &Target) -> String {
    let (system, processor) = target.npm;
    format!("@{NPM}/{system}-{processor}")
}

/// As `npm pack` names the file of a package.
pub fn file(package: &str, version: &str) -> String {
    let stem = package.trim_start_matches('@').replace('/', "-");
    format!("{stem}-{version}.tgz")
}

/// The file of the package for one system, with its name.
pub fn program(about: &About, target: &Target, content: &Content) -> Done<(String, Vec<u8>)> {
    let (system, processor) = target.npm;
    let name = platform(target);
    let mut manifest = common(about, &name);
    manifest.insert("os".to_owned(), json!([system]));
    manifest.insert("cpu".to_owned(), json!([processor]));
    manifest.insert("files".to_owned(), json!([format!("bin/{NAME}"), LICENCES]));
    // Yarn would otherwise run it from inside of an archive.
    manifest.insert("preferUnplugged".to_owned(), json!(true));
    let program = read(&content.program())?;
    let readme = format!("# {name}\n\nThe program of the package `{NPM}` for one system.\n");
    let members = vec![
        Member::program(format!("package/bin/{NAME}"), program),
        Member::text("package/README.md", readme),
        Member::file(format!("package/{LICENCES}"), &content.dir.join(LICENCES))?,
    ];
    let bytes = pack(about, &manifest, members)?;
    Ok((file(&name, &about.version), bytes))
}

/// The file of the main package. `spec` says where npm finds a package for one system.
pub fn launcher(
    about: &About,
    spec: impl Fn(&Target) -> Option<String>,
) -> Done<(String, Vec<u8>)> {
    let mut manifest = common(about, NPM);
    let found = TARGETS.iter().filter_map(|target| {
        let spec = spec(target)?;
        Some((platform(target), json!(spec)))
    });
    let found: Map<_, _> = found.collect();
    manifest.insert("bin".to_owned(), json!({ NAME: format!("bin/{NAME}.js") }));
    manifest.insert("files".to_owned(), json!([format!("bin/{NAME}.js")]));
    manifest.insert("engines".to_owned(), json!({ "node": ">=18" }));
    manifest.insert("optionalDependencies".to_owned(), Value::Object(found));
    let launcher = read(&root().join(LAUNCHER))?;
    let launcher = String::from_utf8_lossy(&launcher).replace("{{package}}", NPM);
    let members = vec![
        Member::program(format!("package/bin/{NAME}.js"), launcher.into_bytes()),
        Member::file("package/README.md", &root().join("README.md"))?,
    ];
    let bytes = pack(about, &manifest, members)?;
    Ok((file(NPM, &about.version), bytes))
}

fn common(about: &About, name: &str) -> Map<String, Value> {
    let fields = json!({
        "name": name,
        "version": about.version,
        "description": about.description,
        "license": about.licence,
        "repository": { "type": "git", "url": format!("git+{}.git", about.repository) },
        "keywords": about.keywords,
        "publishConfig": { "access": "public", "provenance": true },
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn pack(about: &About, manifest: &Map<String, Value>, mut members: Vec<Member>) -> Done<Vec<u8>> {
    let text = serde_json::to_string_pretty(manifest).map_err(|error| error.to_string())?;
    members.push(Member::text("package/package.json", text + "\n"));
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        members.push(Member::file(format!("package/{name}"), &root().join(name))?);
    }
    tarball(members, about.date)
}
