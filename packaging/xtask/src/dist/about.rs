//! What `Cargo.toml` says about the program.

use std::process::Command;

use serde_json::Value;

use super::targets::{NAME, Target};
use crate::shell::{Done, cargo, output, root};

pub struct About {
    pub version: String,
    pub description: String,
    pub licence: String,
    pub repository: String,
    pub keywords: Vec<String>,
    /// The date of the commit, which all files have.
    pub date: u64,
}

impl About {
    pub fn read() -> Done<Self> {
        let text = output(&mut cargo("metadata --no-deps --format-version 1 --locked"));
        let text = text.ok_or("`cargo metadata` failed")?;
        let all: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let packages = all["packages"].as_array().into_iter().flatten();
        let mut ours = packages.filter(|package| package["name"] == NAME);
        let package = ours.next().ok_or("no package of this name")?;
        let field = |name: &str| {
            let value = package[name].as_str();
            value
                .map(str::to_owned)
                .ok_or(format!("`Cargo.toml` has no `{name}`"))
        };
        let keywords = package["keywords"].as_array().into_iter().flatten();
        Ok(Self {
            version: field("version")?,
            description: field("description")?,
            licence: field("license")?,
            repository: field("repository")?,
            keywords: keywords
                .filter_map(|word| Some(word.as_str()?.to_owned()))
                .collect(),
            date: date()?,
        })
    }

    /// The name of the archive of a target, and of the directory in it.
    pub fn archive(&self, target: &Target) -> String {
        format!("{NAME}-v{}-{}", self.version, target.triple)
    }

    /// Where a file of this release is downloaded.
    pub fn download(&self, file: &str) -> String {
        let Self {
            repository,
            version,
            ..
        } = self;
        format!("{repository}/releases/download/v{version}/{file}")
    }
}

/// `SOURCE_DATE_EPOCH`, or the time of the last commit.
fn date() -> Done<u64> {
    let text = std::env::var("SOURCE_DATE_EPOCH").ok().or_else(|| {
        let mut git = Command::new("git");
        output(git.args(["log", "-1", "--format=%ct"]).current_dir(root()))
    });
    let text = text.ok_or("not a git repository, and `SOURCE_DATE_EPOCH` is not set")?;
    let number = text.parse();
    number.map_err(|_| format!("`{text}` is not a time in seconds"))
}
