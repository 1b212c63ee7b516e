//! The speed of masking: `cargo bench --bench mask [-- PART-OF-A-NAME]`. Ratios within one run to a
//! copy of the bytes.
//!
//! The stream comes in pieces of 64 KiB, as a relay reads it; what passes is not copied, because
//! the relay writes it directly. Each number is the best of several runs.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a program that measures and prints"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use mcpwrap::testing::mask::{Masker, MessageMask, TextMask};
use mcpwrap::testing::secret::Secret;

const PIECE_BYTES: usize = 64 * 1024;
const TOTAL_BYTES: usize = 16 * 1024 * 1024;
const RUNS: usize = 7;

fn main() {
    let secrets: Vec<Secret> = (0..10).map(token).collect();
    let secret = String::from_utf8_lossy(secrets[0].expose()).into_owned();
    println!(
        "{:<44}{:>10}{:>10}{:>10}",
        "GB/s (of a copy), 64 KiB pieces", "0", "1", "10 secrets"
    );

    let log = "2026-11-23T12:00:00Z INFO  server: request 4711 for /repos/acme/site took 12 ms\n";
    let leak = format!("2026-11-23T12:00:00Z DEBUG Authorization: Bearer {secret}\n");
    let message = "{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\
        \"Found 3 issues in acme/site: build fails on main, typo in README, flaky test\"}],\
        \"isError\":false}}\n";
    let nested = "{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\
        \"[\\n  {\\n    \\\"number\\\": 12,\\n    \\\"title\\\": \\\"build fails\\\"\\n  }\\n]\"}]}}\n";
    let ascii = "{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\
        \"\\u4f60\\u597d, \\u4e16\\u754c: three issues in acme/site, \\u00e9t\\u00e9\"}]}}\n";
    let leaked = message.replace("flaky test", &secret);
    let literal = format!("{{\"text\":\"{}\"}}\n", "QUJDRGVm0123".repeat(1024 * 1024));
    let wide = format!(
        "[{}0]\n",
        message
            .trim_end()
            .to_owned()
            .repeat(20_000)
            .replace("}}{", "}},{")
            + ","
    );

    for (name, line) in [
        ("text, clean", log),
        ("text, one line in 50 leaks", &mix(log, &leak, 50)),
        ("text, every line leaks", &leak),
    ] {
        report(name, line, &secrets, |masker, stream| {
            let mut mask = TextMask::new(masker);
            run(stream, |piece, out| {
                let passed = mask.pass(piece);
                mask.write(&piece[passed..], out);
                passed
            });
        });
    }
    for (name, line) in [
        ("messages, clean", message),
        ("messages, JSON in JSON", nested),
        ("messages, non-ASCII as \\uXXXX", ascii),
        ("messages, one in 50 leaks", &mix(message, &leaked, 50)),
        ("messages, each leaks", &leaked),
        ("messages, 12 MB literal", &literal),
        ("messages, 4 MB structured line", &wide),
    ] {
        report(name, line, &secrets, |masker, stream| {
            let mut mask = MessageMask::new(masker);
            run(stream, |piece, out| {
                let passed = mask.pass(piece);
                mask.write(&piece[passed..], out);
                passed
            });
        });
    }

    let start = Instant::now();
    let named: Vec<_> = secrets
        .iter()
        .map(|s| (String::from("github/token"), s))
        .collect();
    black_box(Masker::new(&named));
    let micros = start.elapsed().as_micros();
    println!("building a masker of 10 secrets: {micros} µs");
}

/// A token in the format of GitHub.
fn token(n: usize) -> Secret {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(n as u64 + 1);
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
            [(state >> 33) as usize % 62]
    };
    let mut value = b"ghp_".to_vec();
    value.extend((0..36).map(|_| next()));
    Secret::new(value)
}

fn mix(clean: &str, dirty: &str, period: usize) -> String {
    clean.repeat(period - 1) + dirty
}

fn report(name: &str, lines: &str, secrets: &[Secret], mut mask: impl FnMut(Arc<Masker>, &[u8])) {
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    if wanted.is_some_and(|part| !name.contains(&part)) {
        return;
    }
    let stream = lines.repeat(TOTAL_BYTES / lines.len() + 1).into_bytes();
    let copy = best(&stream, || {
        let mut out = Vec::with_capacity(PIECE_BYTES);
        for piece in stream.chunks(PIECE_BYTES) {
            out.clear();
            out.extend_from_slice(black_box(piece));
            black_box(&out);
        }
    });
    print!("{name:<44}");
    for count in [0, 1, 10] {
        let named: Vec<_> = secrets
            .iter()
            .take(count)
            .map(|s| (String::from("github/token"), s))
            .collect();
        let masker = Arc::new(Masker::new(&named));
        let rate = best(&stream, || mask(Arc::clone(&masker), &stream));
        print!(" {rate:>5.2}({:.2})", rate / copy);
    }
    println!();
}

fn run(stream: &[u8], mut mask: impl FnMut(&[u8], &mut Vec<u8>) -> usize) {
    let mut out = Vec::new();
    for piece in stream.chunks(PIECE_BYTES) {
        out.clear();
        black_box(mask(black_box(piece), &mut out));
        black_box(&out);
    }
}

fn best(stream: &[u8], mut once: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        once();
        best = best.min(start.elapsed().as_secs_f64());
    }
    stream.len() as f64 / best / 1e9
}
