//! The wheel: the program as it is, for pip, pipx and uv.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::about::About;
use super::archive::{Member, zip};
use super::content::{Content, LICENCES};
use super::targets::{NAME, Target, WHEEL};
use crate::shell::{Done, read};

/// The name of the file, and its bytes.
pub fn build(about: &About, target: &Target, content: &Content) -> Done<(String, Vec<u8>)> {
    let stem = format!("{}-{}", WHEEL.replace('-', "_"), about.version);
    let info = format!("{stem}.dist-info");
    let mut members = vec![Member::program(
        format!("{stem}.data/scripts/{NAME}"),
        read(&content.program())?,
    )];
    for name in ["LICENSE-APACHE", "LICENSE-MIT", LICENCES] {
        let path = format!("{info}/licenses/{name}");
        members.push(Member::file(path, &content.dir.join(name))?);
    }
    let readme = read(&content.dir.join("README.md"))?;
    let readme = String::from_utf8_lossy(&readme);
    members.push(Member::text(
        format!("{info}/METADATA"),
        metadata(about, &readme),
    ));
    members.push(Member::text(format!("{info}/WHEEL"), tags(target)));
    let record = format!("{info}/RECORD");
    let own = format!("{record},,\n");
    let lines: String = members.iter().map(line).chain([own]).collect();
    members.push(Member::text(record, lines));
    let name = format!("{stem}-py3-none-{}.whl", target.wheel.join("."));
    Ok((name, zip(&members)?))
}

fn metadata(about: &About, readme: &str) -> String {
    let About {
        version,
        description,
        licence,
        repository,
        keywords,
        ..
    } = about;
    let keywords = keywords.join(",");
    format!(
        "Metadata-Version: 2.4\n\
         Name: {WHEEL}\n\
         Version: {version}\n\
         Summary: {description}\n\
         Keywords: {keywords}\n\
         License-Expression: {licence}\n\
         License-File: LICENSE-APACHE\n\
         License-File: LICENSE-MIT\n\
         License-File: {LICENCES}\n\
         Project-URL: Repository, {repository}\n\
         Requires-Python: >=3.8\n\
         Description-Content-Type: text/markdown\n\
         \n\
         {readme}"
    )
}

fn tags(target: &Target) -> String {
    let head = "Wheel-Version: 1.0\nGenerator: xtask\nRoot-Is-Purelib: false\n";
    let tags = target.wheel.iter();
    let tags: Vec<_> = tags.map(|tag| format!("Tag: py3-none-{tag}\n")).collect();
    head.to_owned() + &tags.concat()
}

/// A line of `RECORD`.
fn line(member: &Member) -> String {
    let digest = Sha256::digest(&member.bytes);
    let digest = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(digest);
    format!("{},sha256={digest},{}\n", member.path, member.bytes.len())
}
