//! Archives whose bytes depend on their content only: sorted, without owners, with one date.

use std::fs;
use std::path::Path;

use flate2::{Compression, Crc, GzBuilder, write::DeflateEncoder};
use std::io::Write as _;

use crate::shell::{Done, problem};

/// One file of an archive.
pub struct Member {
    pub path: String,
    pub bytes: Vec<u8>,
    pub is_program: bool,
}

impl Member {
    pub fn text(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            bytes: bytes.into(),
            is_program: false,
        }
    }

    pub fn program(path: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            path: path.into(),
            bytes,
            is_program: true,
        }
    }

    /// A copy of a file.
    pub fn file(path: impl Into<String>, source: &Path) -> Done<Self> {
        let bytes = fs::read(source).map_err(|error| problem(source, &error))?;
        Ok(Self::text(path, bytes))
    }

    const fn mode(&self) -> u32 {
        if self.is_program { 0o755 } else { 0o644 }
    }
}

/// A `.tar.gz`.
pub fn tarball(mut members: Vec<Member>, date: u64) -> Done<Vec<u8>> {
    members.sort_by(|a, b| a.path.cmp(&b.path));
    let gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for member in &members {
        let mut header = tar::Header::new_ustar();
        header.set_size(member.bytes.len() as u64);
        header.set_mode(member.mode());
        header.set_mtime(date);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, &member.path, &*member.bytes)
            .map_err(|error| format!("{}: {error}", member.path))?;
    }
    let gzip = tar.into_inner().map_err(|error| error.to_string())?;
    gzip.finish().map_err(|error| error.to_string())
}

/// `gzip -9n`, as packages want their manual pages.
pub fn gzip(bytes: &[u8]) -> Done<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(bytes).map_err(|error| error.to_string())?;
    gzip.finish().map_err(|error| error.to_string())
}

/// 1980-01-01, the first date that a ZIP archive can have: bits for year, month and day.
const FIRST_DAY: u16 = 1 << 5 | 1;
const DEFLATED: u16 = 8;
/// Version 2.0 of the format, and in the directory also Unix, for the modes.
const VERSION: u16 = 20;
const MADE_BY_UNIX: u16 = 3 << 8 | VERSION;

/// A ZIP archive. Members keep their order: the `RECORD` of a wheel is last.
pub fn zip(members: &[Member]) -> Done<Vec<u8>> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let mut crc = Crc::new();
        crc.update(&member.bytes);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(&member.bytes);
        let packed = written.and_then(|()| encoder.finish());
        let packed = packed.map_err(|error| format!("{}: {error}", member.path))?;
        let name = member.path.as_bytes();
        // What the header before a member and its row in the directory have in common.
        let mut common = Vec::new();
        for field in [VERSION, 0, DEFLATED, 0, FIRST_DAY] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc.sum(), size(packed.len())?, size(member.bytes.len())?] {
            common.extend(field.to_le_bytes());
        }
        common.extend(length(name.len())?.to_le_bytes());
        common.extend([0; 2]);

        directory.extend(b"PK\x01\x02");
        directory.extend(MADE_BY_UNIX.to_le_bytes());
        directory.extend(&common);
        // No comment, first disk, no internal attributes.
        directory.extend([0; 6]);
        let regular = 0o100_000 | member.mode();
        directory.extend((regular << 16).to_le_bytes());
        directory.extend(size(archive.len())?.to_le_bytes());
        directory.extend(name);

        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name);
        archive.extend(&packed);
    }
    let (start, count) = (size(archive.len())?, length(members.len())?);
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06");
    archive.extend([0; 4]);
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(size(directory.len())?.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0; 2]);
    Ok(archive)
}

fn size(bytes: usize) -> Done<u32> {
    u32::try_from(bytes).map_err(|_| "too large for a ZIP archive".to_owned())
}

fn length(count: usize) -> Done<u16> {
    u16::try_from(count).map_err(|_| "too many for a ZIP archive".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn members() -> Vec<Member> {
        vec![
            Member::program("b/program", b"#!/bin/sh\necho ran\n".repeat(50)),
            Member::text("a.txt", "text"),
        ]
    }

    #[test]
    fn other_programs_read_a_zip_with_its_modes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.zip");
        fs::write(&file, zip(&members()).unwrap()).unwrap();
        let script = "import sys, zipfile\n\
                      z = zipfile.ZipFile(sys.argv[1])\n\
                      assert z.testzip() is None\n\
                      print([(i.filename, oct(i.external_attr >> 16), i.file_size) for i in z.infolist()])";
        let mut python = Command::new("python3");
        let said = crate::shell::output(python.args(["-c", script]).arg(&file));
        let Some(said) = said else {
            eprintln!("skipped: no `python3`");
            return;
        };
        let expected = "[('b/program', '0o100755', 950), ('a.txt', '0o100644', 4)]";
        assert_eq!(said, expected);
    }

    #[test]
    fn an_archive_depends_on_its_content_only() {
        let mut turned = members();
        turned.reverse();
        let one = tarball(members(), 7).unwrap();
        assert_eq!(one, tarball(turned, 7).unwrap());
        assert_ne!(one, tarball(members(), 8).unwrap());
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(&*one));
        let modes = tar.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, entry.header().mode().unwrap())
        });
        let expected = [("a.txt".to_owned(), 0o644), ("b/program".to_owned(), 0o755)];
        assert_eq!(modes.collect::<Vec<_>>(), expected);
    }
}
