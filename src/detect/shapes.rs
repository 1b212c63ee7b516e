//! Tokens of a known format: a prefix that the provider chose, and what may follow.
//!
//! Only the text is judged, so a token is found anywhere: in an argument, in a JSON text, joined to
//! a flag, but not inside a longer word. One line per format; sources are the providers' pages and
//! their secret scanning lists.

use std::ops::Range;
use std::sync::OnceLock;

pub(super) use super::unprefixed::Known;

use super::unprefixed;

/// Which bytes may follow a prefix.
#[derive(Clone, Copy, Debug)]
enum Body {
    Hex,
    Alnum,
    /// Letters, digits, `_` and `-`.
    Word,
    /// Both base64 alphabets, and `.`, `:`, `=` between parts.
    Parts,
}

#[derive(Clone, Copy, Debug)]
struct TokenFormat {
    prefix: &'static str,
    body: Body,
    /// The minimum number of bytes after the prefix.
    min: usize,
    name: &'static str,
}

const fn shape(prefix: &'static str, body: Body, min: usize, name: &'static str) -> TokenFormat {
    TokenFormat {
        prefix,
        body,
        min,
        name,
    }
}

const SHAPES: &[TokenFormat] = &[
    shape("ghp_", Body::Alnum, 30, "GitHub token"),
    shape("gho_", Body::Alnum, 30, "GitHub OAuth token"),
    shape("ghu_", Body::Alnum, 30, "GitHub user token"),
    shape("ghs_", Body::Alnum, 30, "GitHub app token"),
    shape("ghr_", Body::Alnum, 30, "GitHub refresh token"),
    shape("github_pat_", Body::Word, 22, "GitHub fine-grained token"),
    shape("glpat-", Body::Parts, 20, "GitLab token"),
    shape("gldt-", Body::Word, 20, "GitLab deploy token"),
    shape("glrt-", Body::Parts, 20, "GitLab runner token"),
    shape("xoxb-", Body::Word, 20, "Slack bot token"),
    shape("xoxp-", Body::Word, 20, "Slack user token"),
    shape("xoxc-", Body::Word, 20, "Slack client token"),
    shape("xoxd-", Body::Parts, 20, "Slack cookie"),
    shape("xapp-", Body::Word, 20, "Slack app token"),
    shape("xoxe.", Body::Parts, 20, "Slack refresh token"),
    shape("sk-ant-", Body::Word, 24, "Anthropic key"),
    shape("sk-proj-", Body::Word, 24, "OpenAI key"),
    shape("sk-svcacct-", Body::Word, 24, "OpenAI key"),
    shape("sk-admin-", Body::Word, 24, "OpenAI key"),
    shape("sk-or-v1-", Body::Hex, 32, "OpenRouter key"),
    shape("sk-lf-", Body::Word, 24, "Langfuse key"),
    shape("sk-", Body::Word, 32, "API key"),
    shape("sk_live_", Body::Alnum, 16, "Stripe key"),
    shape("sk_test_", Body::Alnum, 16, "Stripe test key"),
    shape("rk_live_", Body::Alnum, 16, "Stripe restricted key"),
    shape("rk_test_", Body::Alnum, 16, "Stripe restricted test key"),
    shape("whsec_", Body::Parts, 24, "webhook secret"),
    shape("sk_", Body::Hex, 32, "API key"),
    shape("AIza", Body::Word, 30, "Google key"),
    shape("GOCSPX-", Body::Word, 20, "Google OAuth client secret"),
    shape("ya29.", Body::Parts, 20, "Google access token"),
    shape("1//0", Body::Word, 30, "Google refresh token"),
    shape("AKIA", Body::Alnum, 16, "AWS access key ID"),
    shape("ASIA", Body::Alnum, 16, "AWS session key ID"),
    shape("sbp_", Body::Alnum, 32, "Supabase token"),
    shape("sb_secret_", Body::Word, 20, "Supabase key"),
    shape("ntn_", Body::Alnum, 30, "Notion token"),
    shape("secret_", Body::Alnum, 40, "Notion token"),
    shape("lin_api_", Body::Alnum, 32, "Linear key"),
    shape("lin_oauth_", Body::Alnum, 32, "Linear token"),
    shape("sntryu_", Body::Hex, 40, "Sentry token"),
    shape("sntrys_", Body::Parts, 40, "Sentry token"),
    shape("figd_", Body::Word, 32, "Figma token"),
    shape("figu_", Body::Word, 32, "Figma token"),
    shape("ATATT3", Body::Parts, 40, "Atlassian token"),
    shape("ATCTT3", Body::Parts, 40, "Atlassian token"),
    shape("ATTA", Body::Hex, 60, "Trello token"),
    shape("fc-", Body::Hex, 32, "Firecrawl key"),
    shape("tvly-", Body::Word, 20, "Tavily key"),
    shape("BSA", Body::Word, 25, "Brave Search key"),
    shape("ctx7sk-", Body::Word, 20, "Context7 key"),
    shape("pplx-", Body::Alnum, 32, "Perplexity key"),
    shape("gsk_", Body::Alnum, 40, "Groq key"),
    shape("xai-", Body::Alnum, 40, "xAI key"),
    shape("hf_", Body::Alnum, 30, "Hugging Face token"),
    shape("r8_", Body::Alnum, 30, "Replicate token"),
    shape("apify_api_", Body::Alnum, 30, "Apify token"),
    shape("bb_live_", Body::Word, 16, "Browserbase key"),
    shape("e2b_", Body::Hex, 32, "E2B key"),
    shape("pcsk_", Body::Word, 32, "Pinecone key"),
    shape("cfut_", Body::Word, 32, "Cloudflare token"),
    shape("cfat_", Body::Word, 32, "Cloudflare token"),
    shape("nfp_", Body::Alnum, 32, "Netlify token"),
    shape("napi_", Body::Alnum, 32, "Neon key"),
    shape("rnd_", Body::Alnum, 24, "Render key"),
    shape("dop_v1_", Body::Hex, 60, "DigitalOcean token"),
    shape("doo_v1_", Body::Hex, 60, "DigitalOcean token"),
    shape("glsa_", Body::Word, 32, "Grafana token"),
    shape("glc_", Body::Parts, 32, "Grafana Cloud token"),
    shape("pat-na1-", Body::Word, 32, "HubSpot token"),
    shape("pat-eu1-", Body::Word, 32, "HubSpot token"),
    shape("shpat_", Body::Alnum, 32, "Shopify token"),
    shape("shpca_", Body::Alnum, 32, "Shopify token"),
    shape("shppa_", Body::Alnum, 32, "Shopify password"),
    shape("shpss_", Body::Alnum, 32, "Shopify secret"),
    shape("SG.", Body::Parts, 40, "SendGrid key"),
    shape("key-", Body::Hex, 32, "Mailgun key"),
    shape("re_", Body::Word, 24, "Resend key"),
    shape("PMAK-", Body::Parts, 40, "Postman key"),
    shape("dp.pt.", Body::Alnum, 40, "Doppler token"),
    shape("dp.st.", Body::Parts, 40, "Doppler token"),
    shape("lsv2_pt_", Body::Word, 32, "LangSmith key"),
    shape("lsv2_sk_", Body::Word, 32, "LangSmith key"),
    shape("npm_", Body::Alnum, 30, "npm token"),
    shape("pypi-", Body::Word, 50, "PyPI token"),
    shape("dckr_pat_", Body::Word, 24, "Docker token"),
    shape("hvs.", Body::Word, 24, "Vault token"),
    shape("ops_", Body::Parts, 100, "1Password service account token"),
    shape("phc_", Body::Alnum, 40, "PostHog project key"),
    shape("phx_", Body::Alnum, 40, "PostHog key"),
    shape("pk_live_", Body::Alnum, 200, "never: a publishable key"),
    shape("jina_", Body::Alnum, 40, "Jina key"),
    shape("nvapi-", Body::Word, 40, "NVIDIA key"),
    shape("tskey-", Body::Word, 20, "Tailscale key"),
    shape("dapi", Body::Hex, 32, "Databricks token"),
    shape("EAA", Body::Alnum, 80, "Meta access token"),
    shape("eyJ", Body::Parts, 60, "JSON web token"),
    shape("v1.0-", Body::Hex, 100, "Cloudflare key"),
    shape("rpa_", Body::Alnum, 40, "RunPod key"),
    shape("lm_", Body::Hex, 40, "API key"),
    shape("ref-", Body::Hex, 20, "Ref key"),
    shape("hb_", Body::Hex, 24, "Hyperbrowser key"),
    shape("glptt-", Body::Word, 20, "GitLab trigger token"),
    shape("glcbt-", Body::Word, 20, "GitLab job token"),
    shape("gloas-", Body::Word, 20, "GitLab OAuth secret"),
    shape("xoxa-", Body::Word, 20, "Slack token"),
    shape("xoxr-", Body::Word, 20, "Slack refresh token"),
    shape("sk-kimi-", Body::Word, 24, "Kimi key"),
    shape("AGE-SECRET-KEY-1", Body::Alnum, 40, "age key"),
    shape("hvb.", Body::Word, 24, "Vault token"),
    shape("atlasv1.", Body::Word, 40, "HCP Terraform token"),
    shape("dp.sa.", Body::Alnum, 36, "Doppler token"),
    shape("sgp_", Body::Word, 32, "Sourcegraph token"),
    shape("vcp_", Body::Alnum, 20, "Vercel token"),
    shape("vercel_blob_rw_", Body::Word, 20, "Vercel token"),
    shape("fo1_", Body::Word, 40, "Fly.io token"),
    shape("FlyV1 fm2_", Body::Parts, 60, "Fly.io token"),
    shape("pul-", Body::Hex, 40, "Pulumi token"),
    shape("mdb_sa_sk_", Body::Word, 32, "MongoDB Atlas secret"),
    shape("pk-lf-", Body::Alnum, 200, "never: a public key"),
    shape("fw_", Body::Alnum, 24, "Fireworks key"),
    shape("csk-", Body::Alnum, 40, "Cerebras key"),
    shape("tgp_v1_", Body::Word, 32, "Together key"),
    shape("CFPAT-", Body::Word, 36, "Contentful token"),
    shape("rubygems_", Body::Hex, 40, "RubyGems key"),
    shape("NRAK-", Body::Alnum, 24, "New Relic key"),
    shape("dt0c01.", Body::Parts, 60, "Dynatrace token"),
    shape("sq0atp-", Body::Word, 20, "Square token"),
    shape("sq0csp-", Body::Word, 40, "Square secret"),
    shape("EAAAl", Body::Word, 55, "Square token"),
    shape("ATBB", Body::Alnum, 28, "Bitbucket app password"),
    shape("shpua_", Body::Alnum, 30, "Shopify token"),
    shape("AVNS_", Body::Word, 15, "Aiven password"),
];

/// The length of the shortest token (bytes).
const SHORTEST: usize = 20;

/// All known tokens in a text, from left to right, without overlaps.
pub(super) fn find(text: &str) -> Vec<Known> {
    if text.len() < SHORTEST {
        return Vec::new();
    }
    let mut found: Vec<Known> = Vec::new();
    for (start, shape) in prefixes(text) {
        let rest = text.get(start + shape.prefix.len()..).unwrap_or_default();
        let body = rest.bytes().take_while(|&b| allows(shape.body, b)).count();
        let body = trimmed(rest, body);
        if body < shape.min || !plausible(shape, rest.get(..body).unwrap_or_default()) {
            continue;
        }
        // HCP Terraform puts its prefix in the middle.
        let before = match shape.prefix {
            "atlasv1." => before_dot(text.get(..start).unwrap_or_default()),
            _ => 0,
        };
        merge(
            &mut found,
            Known {
                range: start - before..start + shape.prefix.len() + body,
                name: shape.name,
            },
        );
    }
    for known in unprefixed::find(text) {
        merge(&mut found, known);
    }
    found.sort_by_key(|known| known.range.start);
    found
}

/// The length of the word and the dot at the end of a text.
fn before_dot(text: &str) -> usize {
    let word = text.strip_suffix('.').unwrap_or_default();
    let letters = word.bytes().rev().take_while(u8::is_ascii_alphanumeric);
    match letters.count() {
        0 => 0,
        count => count + 1,
    }
}

/// The longest prefix of a format that a token starts with.
pub(super) fn prefix(token: &str) -> Option<&'static str> {
    let known = SHAPES.iter().map(|shape| shape.prefix);
    let found = known.filter(|prefix| token.starts_with(prefix));
    found.max_by_key(|prefix| prefix.len())
}

/// The prefixes at the start of a word, sorted by their ends.
fn prefixes(text: &str) -> Vec<(usize, &'static TokenFormat)> {
    static BY_FIRST: OnceLock<[Vec<&'static TokenFormat>; 128]> = OnceLock::new();
    let by_first = BY_FIRST.get_or_init(|| {
        let begins = |byte: usize, shape: &&TokenFormat| {
            shape.prefix.bytes().next().map(usize::from) == Some(byte)
        };
        std::array::from_fn(|byte| SHAPES.iter().filter(|shape| begins(byte, shape)).collect())
    });
    let mut found = Vec::new();
    let mut inside = false;
    for (start, &byte) in text.as_bytes().iter().enumerate() {
        let begins = !std::mem::replace(&mut inside, byte.is_ascii_alphanumeric() || byte == b'_');
        let shapes = by_first.get(usize::from(byte)).filter(|_| begins);
        for shape in shapes.into_iter().flatten() {
            let rest = text.as_bytes().get(start..).unwrap_or_default();
            if rest.starts_with(shape.prefix.as_bytes()) {
                found.push((start, *shape));
            }
        }
    }
    found.sort_by_key(|(start, shape)| start + shape.prefix.len());
    found
}

/// Of two that overlap the longer one is kept; of equal length, the one with the longer prefix.
fn merge(found: &mut Vec<Known>, new: Known) {
    let overlaps = |a: &Range<usize>| a.start < new.range.end && new.range.start < a.end;
    match found.iter_mut().find(|known| overlaps(&known.range)) {
        Some(old) if old.range.len() <= new.range.len() => *old = new,
        Some(_) => {}
        None => found.push(new),
    }
}

fn allows(body: Body, byte: u8) -> bool {
    match body {
        Body::Hex => byte.is_ascii_hexdigit(),
        Body::Alnum => byte.is_ascii_alphanumeric(),
        Body::Word => byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
        Body::Parts => byte.is_ascii_alphanumeric() || b"_-.:=+/%".contains(&byte),
    }
}

/// A body does not end in punctuation that belongs to the text around it.
fn trimmed(rest: &str, body: usize) -> usize {
    let text = rest.get(..body).unwrap_or_default();
    text.trim_end_matches(['.', ':', '-', '/', '%']).len()
}

/// A word is not a token: a body has digits, or letters of both cases, unless it is very long.
fn plausible(shape: &TokenFormat, body: &str) -> bool {
    if shape.name.starts_with("never") {
        return false;
    }
    if shape.prefix == "eyJ" {
        return body.split('.').count() == 3 && !body.contains('/');
    }
    let digits = body.bytes().any(|b| b.is_ascii_digit());
    let cases = body.bytes().any(|b| b.is_ascii_uppercase())
        && body.bytes().any(|b| b.is_ascii_lowercase());
    digits || cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: &[&str]) {
        let found: Vec<_> = find(text)
            .iter()
            .map(|known| &text[known.range.clone()])
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    const GITHUB: &str = "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";

    #[test]
    fn the_shortest_token() {
        let lengths = SHAPES.iter().map(|shape| shape.prefix.len() + shape.min);
        assert_eq!(lengths.min(), Some(SHORTEST));
    }

    #[test]
    fn known_tokens_anywhere() {
        case(GITHUB, &[GITHUB]);
        case(&format!("--env.X={GITHUB}"), &[GITHUB]);
        case(&format!("{{\"a\":\"Bearer {GITHUB}\"}}"), &[GITHUB]);
        let terraform = "oQpJ6DopRAll0v.atlasv1.a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0";
        case(&format!("TFE_TOKEN={terraform}"), &[terraform]);
        case(&format!("x{GITHUB}"), &[]);
        case("ghp_short", &[]);
        case(
            "https://a/sk-this-is-a-very-long-slug-of-words-in-a-url",
            &[],
        );
        case(
            "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
            &["110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"],
        );
    }

    #[test]
    fn the_longer_of_two_that_overlap() {
        let key = "sk-ant-api03-abcdefghij0123456789ABCDEFGHIJ";
        assert_eq!(
            find(key),
            [Known {
                range: 0..key.len(),
                name: "Anthropic key"
            }]
        );
    }

    #[test]
    fn a_private_key_to_its_end() {
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----";
        case(&format!("{pem}\n"), &[pem]);
        case(
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            &[],
        );
    }
}
