//! The severity of an OSV record: its word, or the base score of its CVSS 3 vector.

use serde::Deserialize;
use serde_json::Value;

use super::advisory::AdvisorySeverity;

#[derive(Debug, Deserialize)]
pub(super) struct OsvScore {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

/// What the database itself says of a record.
#[derive(Debug, Deserialize)]
pub(super) struct OsvWord {
    severity: Option<Value>,
}

/// None if the record does not say.
pub(super) fn severity(
    id: &str,
    word: Option<&OsvWord>,
    scores: &[OsvScore],
) -> Option<AdvisorySeverity> {
    // A malicious package.
    if id.starts_with("MAL-") {
        return Some(AdvisorySeverity::Critical);
    }
    let word = word.and_then(|word| word.severity.as_ref()?.as_str());
    let named = word.and_then(AdvisorySeverity::named);
    named.or_else(|| {
        let of_vector = |score: &OsvScore| cvss3(&score.score);
        let vectors = scores.iter().filter(|score| score.kind == "CVSS_V3");
        vectors.filter_map(of_vector).max()
    })
}

/// The severity of a vector such as `CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H`.
/// Source: CVSS 3.1, sections 5, 7.1 and 7.4.
fn cvss3(vector: &str) -> Option<AdvisorySeverity> {
    let metric = |name: &str| {
        let parts = vector.split('/').filter_map(|part| part.split_once(':'));
        let mut values = parts.filter(|(known, _)| *known == name);
        values.next().map(|(_, value)| value)
    };
    let changed = metric("S")? == "C";
    let access = match metric("AV")? {
        "N" => 0.85,
        "A" => 0.62,
        "L" => 0.55,
        "P" => 0.2,
        _ => return None,
    };
    let complexity = match metric("AC")? {
        "L" => 0.77,
        "H" => 0.44,
        _ => return None,
    };
    let privileges = match (metric("PR")?, changed) {
        ("N", _) => 0.85,
        ("L", false) => 0.62,
        ("L", true) => 0.68,
        ("H", false) => 0.27,
        ("H", true) => 0.5,
        _ => return None,
    };
    let interaction = match metric("UI")? {
        "N" => 0.85,
        "R" => 0.62,
        _ => return None,
    };
    let loss = |name: &str| match metric(name)? {
        "H" => Some(0.56_f64),
        "L" => Some(0.22),
        "N" => Some(0.0),
        _ => None,
    };
    let base = 1.0 - (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?);
    let impact = if changed {
        7.52 * (base - 0.029) - 3.25 * (base - 0.02).max(0.0).powi(15)
    } else {
        6.42 * base
    };
    let sum = impact + 8.22 * access * complexity * privileges * interaction;
    let score = match (impact > 0.0, changed) {
        (false, _) => 0.0,
        (true, true) => (1.08 * sum).min(10.0),
        (true, false) => sum.min(10.0),
    };
    // Rounded up to one decimal place.
    Some(match score {
        score if score > 8.9 => AdvisorySeverity::Critical,
        score if score > 6.9 => AdvisorySeverity::High,
        score if score > 3.9 => AdvisorySeverity::Medium,
        _ => AdvisorySeverity::Low,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn severities_of_vectors() {
        for (vector, expected) in [
            // 9.8, 10.0, 7.5, 6.1, 3.7
            (
                "AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                Some(AdvisorySeverity::Critical),
            ),
            (
                "AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H",
                Some(AdvisorySeverity::Critical),
            ),
            (
                "AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
                Some(AdvisorySeverity::High),
            ),
            (
                "AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N",
                Some(AdvisorySeverity::Medium),
            ),
            (
                "AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:N/A:N",
                Some(AdvisorySeverity::Low),
            ),
            ("AV:N/AC:L", None),
            ("AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", None),
        ] {
            assert_eq!(cvss3(&format!("CVSS:3.1/{vector}")), expected, "{vector}");
        }
    }

    #[test]
    fn the_word_of_a_record_comes_first() {
        let score = OsvScore {
            kind: "CVSS_V3".to_owned(),
            score: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".to_owned(),
        };
        let scores = [score];
        let word = OsvWord {
            severity: Some(json!("MODERATE")),
        };
        let of = |id: &str, word: Option<&OsvWord>| severity(id, word, &scores);
        assert_eq!(of("GHSA-1", Some(&word)), Some(AdvisorySeverity::Medium));
        assert_eq!(of("PYSEC-1", None), Some(AdvisorySeverity::Critical));
        assert_eq!(of("MAL-1", Some(&word)), Some(AdvisorySeverity::Critical));
        assert_eq!(severity("PYSEC-1", None, &[]), None);
    }
}
