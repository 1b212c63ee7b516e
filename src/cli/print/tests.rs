//! The shapes of lines and tables.

use super::*;

#[test]
fn wide_characters_take_two_columns() {
    assert_eq!(cut("abc", 2), "ab");
    assert_eq!(cut("\u{5bc6}\u{94a5}x", 4), "\u{5bc6}\u{94a5}");
    assert_eq!(cut("\u{5bc6}\u{94a5}x", 3), "\u{5bc6}");
    assert_eq!(cut("e\u{301}f", 1), "e\u{301}");
}

#[test]
fn nouns_agree_with_their_number() {
    assert_eq!(count(0_usize, "file"), "0 files");
    assert_eq!(count(1_u64, "file"), "1 file");
    assert_eq!(count(2_usize, "policy"), "2 policies");
    assert_eq!(count(2_usize, "day"), "2 days");
    assert_eq!(count(3_usize, "process"), "3 processes");
    assert_eq!(count(1_usize, "process"), "1 process");
}
