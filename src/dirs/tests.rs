//! Tests of the directories.

use super::*;

#[test]
fn the_home_of_an_account() {
    let list = "root:x:0:0:root:/root:/bin/sh\n+@netgroup\nbroken\nx:x:7:7::relative:\n\
                ana:x:1000:100::/home/ana:\n";
    assert_eq!(home_in(list, 0), Some("/root".into()));
    assert_eq!(home_in(list, 1000), Some("/home/ana".into()));
    assert_eq!((home_in(list, 7), home_in(list, 100)), (None, None));
}

#[test]
fn directories_of_a_sandbox() {
    let home = Path::new("/home/ana");
    for (path, inside) in [
        ("/home/ana/snap/code/170/.config", true),
        ("/home/ana/.var/app/com.x/config", true),
        ("/home/ana/snapshots", false),
        ("/home/ana/.config", false),
        ("/home/bob/snap/code", false),
    ] {
        assert_eq!(is_of_sandbox(Path::new(path), home), inside, "{path}");
    }
}
