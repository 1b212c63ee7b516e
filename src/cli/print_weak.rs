//! The warning about a value that is used and not masked.

use super::print;
use crate::weak::Weakness;

/// Says that this secret (with quotes) is not masked, and why.
pub(super) fn not_masked(secret: &str, weakness: Weakness) {
    print::warning(&format!(
        "{secret} is not masked, because its value {}",
        weakness.text()
    ));
}
