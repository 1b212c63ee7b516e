//! Tests of private files.

use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn refused(path: &Path) -> String {
    read_private(path).unwrap_err().to_string()
}

#[test]
fn only_a_regular_private_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    assert!(matches!(read_private(&file), Err(Problem::Missing)));
    replace(&file, b"text").unwrap();
    assert_eq!(read_private(&file).unwrap(), b"text");

    let link = dir.path().join("link");
    symlink(&file, &link).unwrap();
    assert!(refused(&link).contains("a symlink"));

    nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refused(&dir.path().join("fifo")).contains("FIFO"));
    assert!(refused(dir.path()).contains("directory"));

    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(refused(&file).contains("0666"));
}

#[test]
fn a_large_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    replace(&file, &[b'x'; 100]).unwrap();
    let found = read_private_up_to(&file, 99);
    assert!(matches!(found, Err(Problem::TooLarge { .. })));
    assert!(read_private_up_to(&file, 100).is_ok());
}

#[test]
fn a_replacement_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    replace(&file, b"one").unwrap();
    replace(&file, b"two").unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
}
